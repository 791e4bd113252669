"""An experiment as a piece of work for an engine (`engine.work`), which may carry it out on a replica."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import numpy as np
from PIL import Image

import experiments
from engine import lab_queue
from engine.images.sources import UPLOAD
from engine.run import Floats
from engine.work import Evaluates
from experiments.cache import Memory, Store, cache
from experiments.core import A, AnyExperiment, Experiment, F, Progress, Result, Value, prepared, walk
from experiments.datasets.digit_sets import digit_name, digits, open_digit
from experiments.datasets.photos import open_named


@dataclass(frozen=True)
class Answered:
    """The answer of the stage called ``name``, as `experiments.cache.Store.put` takes it."""

    name: str
    stored: Mapping[str, Any]


@dataclass(frozen=True)
class LabWork:
    """The experiment called ``name`` with its ``settings``; ``uploads``: the pictures that it opens and that
    nobody else has, by name. With any, nothing of it is written to a disk."""

    name: str
    settings: Mapping[str, Value]
    uploads: Mapping[str, Image.Image]

    @classmethod
    def of(cls, experiment: AnyExperiment) -> LabWork:
        """Return an experiment as work."""
        settings = {item.name: getattr(experiment, item.name) for item in experiment.settings()}
        names = [name for name in settings.values() if isinstance(name, str) and name.startswith(UPLOAD)]
        opened: Any = getattr(experiment, "open", None)
        return cls(experiment.card.name, settings, {name: opened(name) for name in names})

    @property
    def model(self) -> str:
        """Return "": an experiment says itself which models it asks, one after the other."""
        return ""

    def carry_out(self, engine: Evaluates) -> Iterator[Progress | Answered | Result[Any]]:
        """Yield what `experiments.core.walk` does, and each stage's answer once it is there.

        Raises `errors.UnknownName`, `errors.BadSetting`, and what a stage raises.
        """
        kind, given = experiments.get(self.name), dict[str, Any](self.settings)
        if any(field.name == "open" for field in fields(kind)):
            given |= {"open": partial(_open, self.uploads)}
        experiment = prepared(kind(**given))
        store = Memory() if self.uploads else Store(cache())
        mine, stages = store.under(experiment.folder()), experiment.stages()
        for at in walk(experiment, store):
            if isinstance(at, Progress) and at.done:
                name = stages[at.done - 1].name
                yield Answered(name, mine.read(name))
            yield at


@dataclass(frozen=True)
class DigitNamed:
    """Opens the digit called ``name``; see `experiments.datasets.digit_sets.open_digit`."""

    name: str
    model: ClassVar[str] = ""

    def carry_out(self, engine: Evaluates) -> Iterator[Image.Image]:
        """Yield it; raises as `open_digit` does."""
        yield open_digit(self.name)


@dataclass(frozen=True)
class FirstDigits:
    """Looks up the first ``count`` test digits of each class, where the digits are."""

    count: int
    model: ClassVar[str] = ""

    def carry_out(self, engine: Evaluates) -> Iterator[dict[str, Floats]]:
        """Yield them ``(1, 28, 28)`` in [0, 1] by their names, in their order."""
        data = digits()
        labels = data.test_y.numpy()
        first = [at for label in range(10) for at in np.flatnonzero(labels == label)[: self.count].tolist()]
        yield {digit_name(data.source, "test", at): data.test_x[at].numpy() for at in sorted(first)}


def usual_store() -> Store:
    """Return where the answers of an experiment are stored: in the server's cache, or in memory where
    replicas have them in theirs, which may have computed them on other data."""
    return Store(cache()) if lab_queue.carried_out_by() is None else Memory()


def walked(experiment: Experiment[A, F], store: Store) -> Generator[Progress | Result[F]]:
    """Yield what `experiments.core.walk` does, carried out by the engine that `engine.lab_queue` names, else
    here; the answers of the stages are in ``store``. Raises what the engine raises, beside what a stage does.
    """
    engine = lab_queue.carried_out_by()
    if engine is None:
        yield from walk(experiment, store)
        return
    mine = store.under(prepared(experiment).folder())
    with closing(engine.carry_out(LabWork.of(experiment))) as coming:
        for at in coming:
            if isinstance(at, Answered):
                mine.put(at.name, at.stored)
            else:
                yield at


def _open(uploads: Mapping[str, Image.Image], name: str) -> Image.Image:
    return uploads[name].copy() if name in uploads else open_named(name)
