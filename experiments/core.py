"""What an experiment is: settings, pieces of work that are kept one by one, figures, and claims.

A piece is a few seconds of work with a name. `run` asks for one after the other and keeps each answer, so
that an experiment that was killed goes on where it was, one that was run before answers at once, and a page
can show how far it is.
"""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple

import torch

from attacks.contract import Setting, setting
from experiments.cache import Store
from experiments.datasets.digit_sets import SMALL
from experiments.datasets.mnist import place

JSON = Any
"""What `json.dumps` writes: dict, list, str, int, float, bool, None."""


@dataclass(frozen=True)
class ExperimentCard:
    """What an experiment says of itself. ``question``: what it asks, in one plain sentence; ``source``: the
    table, figure or section that it repeats; ``needs``: data sets beyond handwritten digits, as text;
    ``digits``: whether it computes on them at all."""

    name: str
    title: str
    question: str
    paper: str
    url: str
    source: str
    needs: str = ""
    digits: bool = True


@dataclass(frozen=True)
class Published:
    """A number of the paper. ``recalled``: not read in the paper itself, so shown as "as recalled"."""

    value: float
    recalled: bool = False


class Progress(NamedTuple):
    """So many of so many pieces are done; ``piece`` is the one that comes next ("" at the end)."""

    done: int
    total: int
    piece: str


@dataclass(frozen=True)
class Experiment(ABC):
    """One experiment with its settings; `run` carries it out.

    ``data``: the folder that holds ``mnist``, "" for wherever `experiments.datasets.digit_sets.digits` finds
    digits, or its `SMALL`.
    Raises `errors.BadSetting` for a setting out of range.
    """

    card: ClassVar[ExperimentCard]
    version: ClassVar[int] = 1
    """Counted up when the code gives other answers, so that kept pieces are not taken for new ones."""

    data: str = ""
    n: int = setting(500, "Pictures", "How many pictures the figures are taken over.", low=10, high=60_000)
    seed: int = setting(0, "Seed", "What all that is drawn at random follows from.", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        """Check every setting."""
        for each in self.settings():
            object.__setattr__(self, each.name, each.check(getattr(self, each.name)))

    @classmethod
    def settings(cls) -> list[Setting]:
        """Return the fields that a person may set."""
        kinds = {"int": "int", "float": "float", "bool": "bool", "str": "str"}
        return [
            Setting(name=f.name, type=kinds[str(f.type)], default=f.default, **f.metadata)
            for f in fields(cls)
            if f.metadata
        ]

    def depends(self) -> JSON:
        """Return what else the answers follow from: hashes of weights, the name of the data set."""
        return None

    @abstractmethod
    def pieces(self) -> list[str]:
        """Return the names of the pieces of work, in order."""

    @abstractmethod
    def piece(self, name: str, store: Store) -> JSON:
        """Carry out one piece and return its answer; earlier ones are in ``store`` (`Store.get`)."""

    @abstractmethod
    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return the figures, from the answers of all pieces by name."""

    @abstractmethod
    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return, for each claim as a plain sentence, whether the figures bear it out."""

    def key(self) -> str:
        """Return a digest that two experiments share when they would give the same answers."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.compare and f.name != "data"}
        whole = [self.card.name, self.version, said, self.depends()]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def walk(experiment: Experiment, store: Store) -> Iterator[Progress | dict[str, JSON]]:
    """Yield a `Progress` before each piece and at the end, then the result.

    The result has ``name``, ``seed``, ``n``, ``seconds`` (of all pieces, whenever they ran), ``settings``,
    ``data``, ``torch``, ``figures`` and ``claims``.
    """
    if experiment.card.digits and not experiment.data and place() is None:
        experiment = replace(experiment, data=SMALL)  # MNIST may arrive before the last piece
    names, done, seconds = experiment.pieces(), {}, 0.0
    mine = store.under(f"{experiment.card.name}-{experiment.key()}")
    for index, name in enumerate(names):
        yield Progress(index, len(names), name)
        if not mine.has(name):
            begun = time.perf_counter()
            answer = experiment.piece(name, mine)
            mine.put(name, {"answer": answer, "seconds": time.perf_counter() - begun})
        kept = mine.read(name)
        done[name], seconds = kept["answer"], seconds + kept["seconds"]
    yield Progress(len(names), len(names), "")
    figures = experiment.figures(done)
    yield {
        "name": experiment.card.name,
        "seed": experiment.seed,
        "n": experiment.n,
        "seconds": round(seconds, 2),
        "settings": {s.name: getattr(experiment, s.name) for s in experiment.settings()},
        "data": experiment.depends(),
        "torch": torch.__version__,
        "figures": figures,
        "claims": experiment.claims(figures),
    }


def run(experiment: Experiment, store: Store) -> dict[str, JSON]:
    """Return the result of an experiment; see `walk`."""
    *_, result = walk(experiment, store)
    assert isinstance(result, dict)
    return result
