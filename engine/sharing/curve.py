"""The curve of a run, thinned for drawing: which classes are shown, how probable at which steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.run import Floats, Run

Role = Literal["other", "original", "goal"]
POINTS = 600
"""Points on a line at most."""
OTHERS = 3
"""Further classes at most, the most probable at their best; one that never reaches `NOTABLE` is left out."""
NOTABLE = 0.05


@dataclass(frozen=True)
class Line:
    """A class on the curve: ``label`` in English, ``role``, and its probabilities ``(points,)`` in [0, 1]."""

    label: str
    role: Role
    p: Floats


@dataclass(frozen=True)
class Curve:
    """``steps`` ``(points,)``, rising from 0 to the last; ``lines``: those to be drawn on top come last."""

    steps: NDArray[np.int64]
    lines: tuple[Line, ...]

    @property
    def last(self) -> int:
        """Return the last step."""
        return int(self.steps[-1])


def goal(run: Run) -> int | None:
    """Return the class the run led to: its target, else the one at its end; None if that is the original."""
    best = run.top(len(run) - 1, 1)[0].index if run.recipe.target is None else run.recipe.target
    return None if best == run.original else best


def thinned(count: int, limit: int) -> NDArray[np.int64]:
    """Return at most ``limit`` of ``count`` indices, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(np.int64))


def curve(run: Run, points: int = POINTS) -> Curve:
    """Return the curve of a run with at least one step."""
    steps, end = thinned(len(run), points), goal(run)
    classes = list(run.classes)
    p = np.exp(run.log_p(0, len(run), classes)[steps])
    peaks = {
        index: float(p[:, i].max()) for i, index in enumerate(classes) if index not in (run.original, end)
    }
    shown = sorted((k for k, peak in peaks.items() if peak >= NOTABLE), key=lambda k: -peaks[k])[:OTHERS]
    roles: dict[int, Role] = dict.fromkeys(shown, "other")
    roles[run.original] = "original"
    if end is not None:
        roles[end] = "goal"
    lines = (Line(run.labels[k], role, p[:, classes.index(k)]) for k, role in roles.items() if k in classes)
    return Curve(steps, tuple(lines))


def spread(heights: list[float], gap: float, top: float, bottom: float) -> list[float]:
    """Return the heights moved apart, in their order, to at least ``gap`` between neighbours, within
    ``top`` to ``bottom`` where there is room."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed, lowest = list(heights), top
    for index in order:
        placed[index] = max(heights[index], lowest)
        lowest = placed[index] + gap
    highest = bottom
    for index in reversed(order):
        placed[index] = min(placed[index], highest)
        highest = placed[index] - gap
    return placed
