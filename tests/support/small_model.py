"""A tiny registered model and engines that load it: the real engine, with a network of ten lines."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import app.rooms
import models
from engine.engine import Engine
from engine.rooms.rooms import Rooms
from models.core import _REGISTRY, Card, Classifier, WeightsFile, register
from models.download import Progress

SIZE, CLASSES = 16, 6
SMALL, SLOW = ("small", "smaller"), "slow"


class SmallNet(nn.Module):
    """A smooth convolutional net with fixed weights; ``before`` is called with each batch."""

    def __init__(self, before: Callable[[Tensor], None] | None = None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.body = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.Tanh(), nn.Conv2d(8, 12, 3, 2, 1), nn.Tanh(), nn.Flatten()
            )
            self.head = nn.Linear(12 * 16, CLASSES)
        self.before = before

    def forward(self, x: Tensor) -> Tensor:
        if self.before:
            self.before(x)
        logits: Tensor = self.head(self.body(x))
        return 4 * logits


class Gate:
    """Lets a test hold the network still, count its batches, or make it misbehave."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.batches: list[int] = []
        self.hook: Callable[[Tensor], None] | None = None

    def __deepcopy__(self, memo: object) -> Gate:
        """Return the gate itself: a copy of a network has the same one."""
        return self

    def __call__(self, x: Tensor) -> None:
        assert self.open.wait(30)
        self.batches.append(len(x))
        if self.hook:
            self.hook(x)


def card(name: str = "small") -> Card:
    """Return the card of the tiny model."""
    return Card(
        name=name,
        title=name.title(),
        summary="for tests",
        size=SIZE,
        labels=tuple(f"class {i}" for i in range(CLASSES)),
        weights=WeightsFile("small.safetensors", "0" * 64),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    )


@contextmanager
def engine(gate: Gate, **options: Any) -> Iterator[Engine]:
    """Run an engine that knows the models "small" and "smaller", and forget them afterwards."""

    def load(name: str, progress: object = None) -> Classifier:
        return Classifier(card(name), SmallNet(gate))

    with known():
        made = Engine(torch.device("cpu"), load, **options)
        try:
            yield made
        finally:
            gate.open.set()
            gate.hook = None
            made.close()


@contextmanager
def known(*names: str) -> Iterator[None]:
    """Have the cards of tiny models known, by default of `SMALL`, and forget them afterwards."""
    names = names or SMALL
    _register(*names)
    try:
        yield
    finally:
        for name in names:
            _REGISTRY.pop(name, None)  # another engine may have done so
        models._shipped.cache_clear()


def _register(*names: str) -> None:
    models.registry()
    for name in names:
        register(card(name), SmallNet)
    models._shipped.cache_clear()


def replica_engine() -> Engine:
    """Return the engine of a replica that knows them, and the networks that ship: "smaller" breaks when it
    is asked for a gradient, "slow" sleeps for each batch, so that long runs leave the processor alone."""
    _register(*SMALL, SLOW)

    def load(name: str, progress: Progress | None = None) -> Classifier:
        if name not in (*SMALL, SLOW):
            return models.load(name, progress=progress)
        return Classifier(card(name), SmallNet(BEFORE.get(name)))

    return Engine(torch.device("cpu"), load)


def _break_on_gradients(x: Tensor) -> None:
    if x.requires_grad:
        raise RuntimeError("a cable burnt")


def _sleep(x: Tensor) -> None:
    time.sleep(0.02)


BEFORE = {"smaller": _break_on_gradients, SLOW: _sleep}


@contextmanager
def behind_routes(monkeypatch: pytest.MonkeyPatch, gate: Gate | None = None) -> Iterator[Engine]:
    """Run that engine, and rooms in its database, behind the app's routes."""
    with engine(gate or Gate()) as served:
        rooms = Rooms(served.history.database)
        for info in pkgutil.iter_modules(app.rooms.__path__):  # before what they import is replaced
            importlib.import_module(f"app.rooms.{info.name}")
        monkeypatch.setattr("app.service.engine", lambda: served)
        monkeypatch.setattr("app.service.rooms", lambda: rooms)
        for name, module in list(sys.modules.items()):
            if name.startswith("app.") and hasattr(module, "engine") and callable(module.engine):
                monkeypatch.setattr(module, "engine", lambda: served)
            if name.startswith("app.rooms.") and callable(getattr(module, "rooms", None)):
                monkeypatch.setattr(module, "rooms", lambda: rooms)
        yield served


@contextmanager
def behind_pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Run that engine behind the app's pages, which then begin with the model "small"."""
    from engine import links

    with engine(Gate()) as made:
        monkeypatch.setattr("app.service.engine", lambda: made)
        monkeypatch.setattr("app.service.ready", lambda: True)
        monkeypatch.setattr("engine.links.DEFAULT", replace(links.DEFAULT, model="small"))
        yield made
