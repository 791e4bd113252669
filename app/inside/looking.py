"""What somebody looks at inside a run, and the questions that are asked about it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.inside.computed import COMPUTED, Key
from engine.interface import EngineInterface
from engine.probes import Probe
from engine.run import Run

T = TypeVar("T")
Line = dict[str, Any]
Query = Mapping[str, str]


@dataclass(frozen=True)
class Look:
    """What somebody looks at: ``step`` of ``run``; ``query``: what the part is asked beyond that;
    ``language``: in which classes are named; ``owner``: whose browser asks, "" for nobody's."""

    engine: EngineInterface
    run: Run
    part: str
    step: int
    query: Query
    language: str = "en"
    owner: str = ""

    def ask(
        self,
        question: Probe[T],
        *settings: Hashable,
        step: int | None = None,
        part: str = "",
        model: str = "",
    ) -> Iterator[T]:
        """Yield the answers to ``question``, remembered by part, step and ``settings``, which must say all
        that determines them beside the run; see `engine.inside.computed.Computed.ask`."""
        key = Key(self.run.id, part or self.part, self.step if step is None else step, settings)
        return COMPUTED.ask(self.engine, self.run, key, question, model)
