"""Work that asks a network again and again, as plain data: it is carried out where the networks are."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol, TypeVar

from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Evaluates(Protocol):
    """What work asks of an engine."""

    def evaluate(
        self, model: str, x: Tensor, objective: Objective | None = None, goal: Criterion | None = None
    ) -> Evaluation:
        """Return the answer to one query."""


class Work(Protocol[T_co]):
    """A piece of work: a frozen dataclass, as `engine.remote.values` takes it, so that a remote engine can be
    given it too; so are its answers."""

    @property
    def model(self) -> str:
        """Return the name of the model that is asked, which is in memory then; "" for several, or none."""

    def carry_out(self, engine: Evaluates) -> Iterator[T_co]:
        """Yield what it comes to, as it comes; closing the iterator ends it. May raise
        `errors.FoolscopeError`."""


class CarriesOut(Protocol):
    """Who carries out work, as `engine.base.EngineBase` says it."""

    def carry_out(self, work: Work[T]) -> Generator[T]:
        """Yield what a piece of work comes to."""


def only_answer(engine: CarriesOut, work: Work[T]) -> T:
    """Return the one answer that a piece of work comes to; raises what ``engine`` raises, and ValueError for
    work of more answers, or none."""
    (only,) = engine.carry_out(work)
    return only
