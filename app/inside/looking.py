"""What somebody looks at inside a run, and the questions that are asked about it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

import models
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
        return COMPUTED.ask(self.engine, model or self.run.recipe.model, key, question)

    def ask_network(self, question: Probe[T], part: str, *settings: Hashable) -> Iterator[T]:
        """Yield the answers to a question about the run's network alone, which other runs on it share."""
        model = self.run.recipe.model
        key = Key("", part, 0, (model, models.card(model).weights.sha256, *settings))
        return COMPUTED.ask(self.engine, model, key, question)

    def picture(self, step: int) -> Tensor:
        """Return the picture ``(c, size, size)`` in [0, 1] that stands for a step."""
        return torch.from_numpy(np.array(self.run.picture(step), dtype=np.float32))


def numbers(values: Tensor) -> list[float | None]:
    """Return values for JSON, None for one that is no number."""
    return [value if math.isfinite(value) else None for value in values.tolist()]
