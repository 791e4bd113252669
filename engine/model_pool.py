"""Networks in the device's memory: loaded once, and when there are too many the least recently used go."""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

import models
import settings
from engine.device import free_memory, out_of_memory
from engine.layouts import Choices
from engine.placement import placed
from errors import OutOfMemory
from models.core import Classifier
from models.download import Progress

log = logging.getLogger("foolscope")
Load = Callable[[str, Progress | None], Classifier]


def load_model(name: str, progress: Progress | None) -> Classifier:
    """Return the model called ``name`` on the CPU, in no layout yet; raises `errors.UnknownName` or
    `errors.WeightsError`."""
    return models.load(name, progress=progress, prepare=models.frozen)


def size_of(model: Classifier) -> int:
    """Return how many bytes a model's weights take."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _replaced(model: Classifier) -> bool:
    """Say whether another network was added under the name of one that was."""
    current = models.registry().get(model.card.name)
    return model.card.added and current is not None and current.card != model.card


class ModelPool:
    """Models on ``device`` by name. ``limit_bytes``: of weights in all; by default
    `settings.model_memory`. A model in use is never removed, so the limit may be exceeded while all are.

    ``load``: by default `load_model`, whose networks are put into the layout that is the fastest here
    (`engine.placement`). What another one returns runs on the CPU as it is.
    """

    def __init__(
        self, device: torch.device, load: Load | None = None, limit_bytes: int | None = None
    ) -> None:
        self.device, self.choices = device, Choices()
        self._load, self._as_it_is = load or load_model, load is not None and device.type == "cpu"
        self._limit = settings.model_memory() if limit_bytes is None else limit_bytes
        self._models: OrderedDict[str, Classifier] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._users: Counter[str] = Counter()
        self._loading: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def __contains__(self, name: str) -> bool:
        return all(base in self._models for base in models.bases(name))

    def sizes(self) -> dict[str, int]:
        """Return how many bytes the weights of each model in the pool take, the last used at the end."""
        with self._lock:
            return {name: self._sizes[name] for name in self._models}

    @property
    def bytes(self) -> int:
        """Return how many bytes the weights of all models in the pool take."""
        with self._lock:
            return sum(self._sizes.values())

    def get(self, name: str, progress: Progress | None = None) -> Classifier:
        """Return a model as the most recently used; raises as `acquire` does."""
        with self.use(name, progress) as model:
            return model

    @contextmanager
    def use(self, name: str, progress: Progress | None = None) -> Iterator[Classifier]:
        """Provide a model that stays in the pool inside the ``with`` block; raises as `acquire` does."""
        model = self.acquire(name, progress)
        try:
            yield model
        finally:
            self.release(name)

    def acquire(self, name: str, progress: Progress | None = None) -> Classifier:
        """Return a model that stays in the pool until `release`, loaded (and downloaded) at first use. Of
        several as one, and of one with other words, the pool holds what it is made of (`models.bases`).

        Raises `errors.UnknownName`, `errors.WeightsError` or `errors.OutOfMemory`.
        """
        if models.bases(name) != (name,):
            return self._made_of(name, progress)
        with self._lock:
            self._users[name] += 1
            loading = self._loading.setdefault(name, threading.Lock())
        try:
            with loading:
                if name in self._models and _replaced(self._models[name]):
                    self.forget(name)
                if name not in self._models:
                    self._add(name, self._on_device(name, progress))
        except BaseException:
            self.release(name)
            raise
        with self._lock:
            self._models.move_to_end(name)
            self._remove_idle(self._limit)
            return self._models[name]

    def _made_of(self, name: str, progress: Progress | None) -> Classifier:
        acquired = list[Classifier]()
        try:
            for base in models.bases(name):
                acquired.append(self.acquire(base, progress))
            return models.made_of(name, acquired)
        except BaseException:
            for model in acquired:
                self.release(model.card.name)
            raise

    def release(self, name: str) -> None:
        """End one use of a model that was acquired."""
        if models.bases(name) != (name,):
            for base in models.bases(name):
                self.release(base)
            return
        with self._lock:
            self._users[name] -= 1
            self._users += Counter()  # drops names that nobody uses
            self._remove_idle(self._limit)

    def forget(self, name: str) -> None:
        """Remove a model that can no longer be trusted; the next use loads it anew."""
        with self._lock:
            self._models.pop(name, None)
            self._sizes.pop(name, None)

    def _add(self, name: str, model: Classifier) -> None:
        with self._lock:
            self._models[name], self._sizes[name] = model, size_of(model)

    def _on_device(self, name: str, progress: Progress | None) -> Classifier:
        model = self._load(name, progress)
        try:
            return self._moved(model)
        except Exception as error:
            if not out_of_memory(error):
                raise
        with self._lock:
            self._remove_idle(0)
        try:
            return self._moved(model.to("cpu"))
        except Exception as error:
            if not out_of_memory(error):
                raise
            raise OutOfMemory(
                "There is no memory left on {device} for {model}.", device=self.device, model=model.card.title
            ) from error

    def _moved(self, model: Classifier) -> Classifier:
        """Return a model on the device."""
        return model.to(self.device) if self._as_it_is else placed(model, self.device, self.choices)

    def _remove_idle(self, limit: int) -> None:
        """Remove models that nobody uses, the least recently used first, until ``limit`` bytes are left."""
        removed = False
        for name in list(self._models):
            if sum(self._sizes.values()) > limit and not self._users[name]:
                del self._models[name], self._sizes[name]
                removed = True
                log.info("%s was removed from memory", name)
        if removed:
            free_memory(self.device)
