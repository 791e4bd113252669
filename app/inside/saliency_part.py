"""“What it looked at”: maps of two classes at the clean picture and at a step, and on shuffled weights."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np

import models
from app.inside.looking import Line, Look, finite
from components.i18n.text import named
from engine.inside.classes import other_class
from engine.inside.pace import Progress
from engine.inside.saliency import (
    METHODS,
    NO_CLASS,
    Methods,
    Saliency,
    SaliencyMap,
    likeness,
    share_inside,
)
from errors import UnknownName

PART = "saliency"
ROWS = ("original", "other")
ORDER = (("original", "clean"), ("other", "now"), ("original", "now"), ("other", "clean")) + (
    ("original", "shuffled"),
    ("other", "shuffled"),
)
"""Which map is computed first: rows are classes, columns are pictures."""


def lines(look: Look) -> Iterator[Line]:
    """Yield the plan, then each map as it is computed, then how like those on shuffled weights are.

    ``?method=``: one of `engine.inside.saliency.METHODS`. A method that knows no class has one row.
    """
    method = look.query.get("method", METHODS[0])
    if method not in METHODS:
        raise UnknownName.of("method", method, METHODS)
    labels = {"original": look.run.original, "other": other_class(look.run, look.step)}
    yield _plan(look, method, labels)
    maps: dict[tuple[str, str], SaliencyMap] = {}
    rows = ROWS[:1] if method in NO_CLASS else ROWS
    for row, column in [cell for cell in ORDER if cell[0] in rows]:
        for answer in saliency(look, labels[row], method, column):
            if isinstance(answer, Progress):
                yield {"type": "progress", "done": answer.done, "of": answer.total}
            else:
                maps[row, column] = answer
                yield _cell(row, column, answer)
        if column == "now" and ("original", "clean") in maps:
            share = share_inside(maps["original", "clean"].values, maps[row, "now"].values)
            yield {"type": "share", "row": row, "share": share}
        if column == "shuffled":
            alike = likeness(maps[row, "now"].values, maps[row, column].values)
            yield {"type": "sanity", "row": row, "likeness": alike}


def saliency(look: Look, label: int, method: str, column: str) -> Iterator[Progress | SaliencyMap]:
    """Yield one map's progress and the map; ``column``: "clean", "now", or "shuffled", which is "now" on
    shuffled weights."""
    step = 0 if column == "clean" else look.step
    question = Saliency(look.picture(step), label, method, column == "shuffled")
    return look.ask(question, method, label, column == "shuffled", step=step, part=PART)


def _plan(look: Look, method: str, labels: dict[str, int]) -> Line:
    names = {row: named(look.run.labels[label], look.language) for row, label in labels.items()}
    (methods,) = look.ask_network(Methods(look.picture(0)), "methods")
    plan = {"type": "plan", "method": method, "step": look.run.picture_step(look.step), "labels": names}
    joined = bool(models.card(look.run.recipe.model).parts)
    return plan | {"methods": methods, "joined": joined}


def _cell(row: str, column: str, answer: SaliencyMap) -> Line:
    values = answer.values
    scale = float(np.percentile(np.abs(values), 99)) or float(np.abs(values).max()) or 1.0
    levels = np.rint(np.clip(values / scale, -1, 1) * 127).astype(np.int8)
    figures = {name: finite(getattr(answer, name)) for name in ("logit", "baseline", "total", "gap")}
    return {
        "type": "map",
        "method": answer.method,
        "row": row,
        "column": column,
        "side": len(values),
        "scale": scale,
        "levels": base64.b64encode(levels.tobytes()).decode(),
        "layer": answer.layer.removeprefix("network."),
        "network": answer.network,
    } | figures
