"""What somebody looks at inside a run, and the questions that are asked about it."""

from __future__ import annotations

import base64
import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from PIL import Image

import models
from engine.base import EngineBase
from engine.inside.classes import TowardsGoal
from engine.inside.computed import COMPUTED, Key
from engine.probes import Probe
from engine.render import encode
from engine.run import Floats, Run
from errors import BadSetting

T = TypeVar("T")
Line = dict[str, Any]
Query = Mapping[str, str]


@dataclass(frozen=True)
class Look:
    """What somebody looks at: ``step`` of ``run``; ``query``: what the part is asked beyond that;
    ``language``: in which classes are named; ``owner``: whose browser asks, "" for nobody's."""

    engine: EngineBase
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
        own = self.run.recipe.model
        if model in ("", own):
            question = TowardsGoal(question, self.run.aim, self.run.targeted)
        return COMPUTED.ask(self.engine, model or own, key, question)

    def ask_network(self, question: Probe[T], part: str, *settings: Hashable) -> Iterator[T]:
        """Yield the answers to a question about the run's network alone, which other runs on it share."""
        model = self.run.recipe.model
        key = Key("", part, 0, (model, models.card(model).weights.sha256, *settings))
        return COMPUTED.ask(self.engine, model, key, question)

    def picture(self, step: int | None = None) -> Floats:
        """Return the picture ``(c, size, size)`` in [0, 1] that stands for a step, by default the one that
        is looked at."""
        return picture_of(self.run, self.step if step is None else step)

    def start(self) -> Floats:
        """Return the untouched picture ``(c, size, size)`` in [0, 1]."""
        return start_of(self.run)

    def change(self) -> Floats:
        """Return the perturbation ``(c, size, size)`` that stands for the step that is looked at."""
        return self.picture() - self.start()

    def number(self, name: str, usual: float) -> float:
        """Return a finite number of the query, ``usual`` where it is missing; raises `errors.BadSetting`."""
        text = self.query.get(name, "")
        try:
            number = float(text) if text else usual
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise BadSetting("Expected a number for {name}, got “{got}”.", name=name, got=text[:40])
        return number

    def whole(self, name: str, usual: int) -> int:
        """Return a whole number of the query, ``usual`` where it is missing; raises `errors.BadSetting`."""
        text = self.query.get(name, str(usual))
        if not text.isdecimal() or len(text) > 9:
            raise BadSetting("Expected a whole number for {name}, got “{got}”.", name=name, got=text[:40])
        return int(text)


def picture_of(run: Run, step: int) -> Floats:
    """Return the picture ``(c, size, size)`` in [0, 1] that stands for a step of a run."""
    return np.array(run.picture(step), dtype=np.float32)


def start_of(run: Run) -> Floats:
    """Return the untouched picture ``(c, size, size)`` in [0, 1] of a run."""
    return np.array(run.start, dtype=np.float32)


def finite(value: float) -> float | None:
    """Return a value for JSON, None for one that is no number."""
    return float(value) if math.isfinite(value) else None


def numbers(values: Floats) -> list[float | None]:
    """Return values for JSON, None for each that is no number."""
    return [finite(value) for value in values.tolist()]


def as_address(picture: Image.Image, kind: str = "png") -> str:
    """Return a picture as an address that holds it, as a "png" or a "jpg"."""
    name = "jpeg" if kind == "jpg" else kind
    return f"data:image/{name};base64,{base64.b64encode(encode(picture, kind)).decode()}"
