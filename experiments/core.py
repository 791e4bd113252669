"""What an experiment is: settings, stages whose answers are stored one by one, figures, and claims.

A stage is a few seconds of work with a name. `run` carries out one after the other and stores each answer, so
that an experiment that was killed goes on where it was, one that was run before answers at once, and a page
can show how far it is. Answers and figures are frozen dataclasses; they are JSON only in files
(`experiments.toolkit.codec`).
"""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch

from attacks.settings import Setting, setting
from engine import networks
from experiments.cache import Store
from experiments.datasets.digit_sets import SMALL
from experiments.datasets.mnist import place
from experiments.toolkit import codec

Value = int | float | bool | str
"""What a setting holds."""
A = TypeVar("A")
"""Type of the answers of an experiment's stages."""
F = TypeVar("F")
"""Type of an experiment's figures."""


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
    """So many of so many stages are done; ``stage`` is the name of the next one ("" at the end)."""

    done: int
    total: int
    stage: str


class Stage(ABC):
    """A few seconds of an experiment's work: a frozen dataclass of all that tells it from the others."""

    answer: ClassVar[type]
    """Type of its answer, a frozen dataclass."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Return the name under which its answer is stored and which a page shows while it runs."""


@dataclass(frozen=True)
class Result(Generic[F]):
    """What an experiment found. ``seconds``: of all stages, whenever they ran; ``data``: as
    `Experiment.depends` says; ``torch``: its version; ``claims``: which sentences the figures bear out."""

    name: str
    seed: int
    n: int
    seconds: float
    settings: dict[str, Value]
    data: Any
    torch: str
    figures: F
    claims: dict[str, bool]


@dataclass(frozen=True)
class Experiment(ABC, Generic[A, F]):
    """One experiment with its settings; `run` carries it out.

    ``data``: the folder that holds ``mnist``, "" for wherever `experiments.datasets.digit_sets.digits` finds
    digits, or its `SMALL`.
    Raises `errors.BadSetting` for a setting out of range.
    """

    card: ClassVar[ExperimentCard]
    result: ClassVar[type]
    """Type of its figures, a frozen dataclass."""
    version: ClassVar[int] = 1
    """Counted up when the code gives other answers, so that stored answers are not taken for new ones."""

    data: str = ""
    n: int = setting(500, "Pictures", "How many pictures the figures are taken over.", low=10, high=60_000)
    seed: int = setting(0, "Seed", "What all that is drawn at random follows from.", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        """Check every setting."""
        for item in self.settings():
            object.__setattr__(self, item.name, item.check(getattr(self, item.name)))

    @classmethod
    def settings(cls) -> list[Setting]:
        """Return the fields that a person may set."""
        kinds = {"int": "int", "float": "float", "bool": "bool", "str": "str"}
        return [
            Setting(name=f.name, type=kinds[str(f.type)], default=f.default, **f.metadata)
            for f in fields(cls)
            if f.metadata
        ]

    def depends(self) -> object:
        """Return what else the answers follow from, as JSON takes it: hashes of weights, names of data."""
        return None

    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """Return the stages in order."""

    @abstractmethod
    def carry_out(self, stage: Any, store: Store) -> A:
        """Return the answer of one stage; those of earlier ones are in ``store`` (`stored`)."""

    @abstractmethod
    def summarise(self, answers: Sequence[A]) -> F:
        """Return the figures, from the answers of all stages in their order."""

    @abstractmethod
    def claims(self, figures: F) -> dict[str, bool]:
        """Return, for each claim as a plain sentence, whether the figures bear it out."""

    def key(self) -> str:
        """Return a digest that two experiments share when they would give the same answers."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.compare and f.name != "data"}
        whole = [self.card.name, self.version, values, self.depends()]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]

    def folder(self) -> str:
        """Return the name of the store in which the answers of its stages are."""
        return f"{self.card.name}-{self.key()}"


AnyExperiment = Experiment[Any, Any]
"""An experiment of whatever answers and figures."""


def stored(store: Store, stage: Stage) -> Any:
    """Return the answer of a stage that was carried out before; raises FileNotFoundError."""
    return codec.load(store.get(stage.name), stage.answer)


def prepared(experiment: Experiment[A, F]) -> Experiment[A, F]:
    """Return an experiment that keeps to the digits that are there now: MNIST may arrive before its end."""
    if experiment.card.digits and not experiment.data and place() is None:
        return replace(experiment, data=SMALL)
    return experiment


def walk(experiment: Experiment[A, F], store: Store) -> Iterator[Progress | Result[F]]:
    """Yield a `Progress` before each stage and at the end, then the result."""
    experiment = prepared(experiment)
    stages, seconds = experiment.stages(), 0.0
    mine = store.under(experiment.folder())
    for index, stage in enumerate(stages):
        yield Progress(index, len(stages), stage.name)
        if not mine.has(stage.name):
            begun = time.perf_counter()
            with networks.stage():
                answer = codec.dump(experiment.carry_out(stage, mine))
            mine.put(stage.name, {"answer": answer, "seconds": time.perf_counter() - begun})
        seconds += float(mine.read(stage.name)["seconds"])
    yield Progress(len(stages), len(stages), "")
    figures = experiment.summarise([stored(mine, stage) for stage in stages])
    yield Result(
        name=experiment.card.name,
        seed=experiment.seed,
        n=experiment.n,
        seconds=round(seconds, 2),
        settings={s.name: getattr(experiment, s.name) for s in experiment.settings()},
        data=experiment.depends(),
        torch=str(torch.__version__),
        figures=figures,
        claims=experiment.claims(figures),
    )


def run(experiment: Experiment[A, F], store: Store) -> Result[F]:
    """Return the result of an experiment; see `walk`."""
    *_, result = walk(experiment, store)
    assert isinstance(result, Result)
    return result


def load(kind: type[Experiment[A, F]], data: object) -> Result[F]:
    """Return the result that ``data`` holds, as `dump` wrote it; raises ValueError where it does not fit."""
    plain: Result[Any] = codec.load(data, Result[Any])
    return replace(plain, figures=codec.load(plain.figures, kind.result))


def dump(result: Result[F]) -> object:
    """Return a result as JSON takes it."""
    return codec.dump(result)
