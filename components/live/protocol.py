"""A run as frames for the browser: small, in order, and resumable from a cursor.

A ``label`` is what the class is called in the reader's ``language``; its ``index`` is the same in all.

Binary frames are little-endian. Kind 1, rows: u8 1, u8 scalars, u16 classes, u32 start, u32 count,
then float32 rows of scalars and natural-log probabilities. Kind 2, the past of a class that has
just been announced: u8 2, u8 0, u16 position, u32 count, float32 values. Kind 3, a picture:
u8 3, u8 which, u16 0, u32 step, then JPEG bytes.
"""

from __future__ import annotations

import json
import struct
import time
from dataclasses import asdict
from typing import Any

import numpy as np

import attacks
import models
from components.i18n.text import named, translated
from engine import checks
from engine.base import EngineBase
from engine.recipe import Recipe
from engine.render import encode, perturbation, to_image
from engine.run import OVER, SCALARS, Run
from engine.sentences import Said
from errors import BadSetting

WHICH = ("original", "perturbation", "adversarial")
VIEWS = ("signed", "size")
MAX_GAIN = 1000.0
PLACE_EVERY = 1.0
"""Seconds between two messages about a run's place, at least."""
Standing = tuple[int, int, int, int]
"""Place, runs ahead, runs that wait, and seconds of waiting."""
ROWS = 2000
"""Rows in one frame at most."""


class Feed:
    """What one reader of ``run`` has not seen yet. ``start``: rows that the reader already has; ``language``:
    in which classes are named."""

    def __init__(self, run: Run, start: int = 0, language: str = "en") -> None:
        self.run, self.language = run, language
        self.cursor = min(max(start, 0), len(run))
        self.classes = 0
        self.status: tuple[str, int] | None = None
        self.place: Standing | None = None
        self.placed = -PLACE_EVERY

    def frames(self) -> list[str | bytes]:
        """Return the frames to send now: announced classes, new rows, a changed status or place."""
        self.run.touch()
        status = self.run.status  # before the rows: what follows the end would otherwise be lost
        out = [*self._announce(), *self._rows()]
        over = status in OVER
        sent = over and self.cursor == len(self.run)
        news = (status, len(self.run) if sent else 0)
        if (news != self.status or self._moved()) and (sent or not over):
            self.status, self.place, self.placed = news, _standing(self.run), time.monotonic()
            out.append(json.dumps(status_message(self.run, self.language, status)))
        return out

    @property
    def ended(self) -> bool:
        """Say whether the end has been sent."""
        return self.status is not None and self.status[0] in OVER

    def _moved(self) -> bool:
        """Say whether the place of a run that waits has changed, at most once in `PLACE_EVERY` seconds."""
        return time.monotonic() - self.placed >= PLACE_EVERY and _standing(self.run) != self.place

    def _announce(self) -> list[str | bytes]:
        out: list[str | bytes] = []
        count = len(self.run.classes)  # once: the engine's thread may add some meanwhile
        for position in range(self.classes, count):
            index = self.run.classes[position]
            past = np.ascontiguousarray(self.run.log_p(0, self.cursor, [index])[:, 0], "<f4")
            out.append(json.dumps(_class_message(self.run, position, self.language)))
            out.append(struct.pack("<BBHI", 2, 0, position, len(past)) + past.tobytes())
        self.classes = count
        return out

    def _rows(self) -> list[str | bytes]:
        stop = min(len(self.run), self.cursor + ROWS)
        if stop <= self.cursor or not self.classes:
            return []
        classes = self.run.classes[: self.classes]
        head = struct.pack("<BBHII", 1, len(SCALARS), len(classes), self.cursor, stop - self.cursor)
        rows = np.hstack([self.run.scalars(self.cursor, stop), self.run.log_p(self.cursor, stop, classes)])
        self.cursor = stop
        return [head + rows.astype("<f4").tobytes()]


def enlarged(gain: Any = 1, view: Any = "signed") -> tuple[float, str]:
    """Return how a perturbation is asked to be shown; raises `errors.BadSetting` for anything else."""
    try:
        number = float(gain)
    except (TypeError, ValueError):
        number = 0.0
    if 0 < number <= MAX_GAIN and view in VIEWS:
        return number, str(view)
    raise BadSetting(
        f"Expected a gain above 0 and up to {MAX_GAIN:g} and a view of {' or '.join(VIEWS)}, "
        f"got “{str(gain)[:40]}” and “{str(view)[:40]}”."
    )


def run_message(run: Run, language: str = "en") -> dict[str, Any]:
    """Return the facts of a run that never change."""
    card, bound = models.card(run.recipe.model), run.recipe.build().bound()
    aim = run.recipe.target
    return {
        "type": "run",
        "id": run.id,
        "total": run.total,
        "model": {"name": card.name, "title": card.title, "size": card.size, "channels": card.channels},
        "attack": {"name": run.recipe.attack, "title": attacks.get(run.recipe.attack).card.title},
        "targeted": aim is not None,
        "original": {"index": run.original, "label": named(run.labels[run.original], language)},
        "target": None if aim is None else {"index": aim, "label": named(run.labels[aim], language)},
        "stop": {"rule": run.recipe.stop.rule, "at": run.recipe.stop.at},
        "image": run.recipe.image,
        "norm": bound[0] if bound else None,
        "epsilon": bound[1] if bound else None,
        "scalars": list(SCALARS),
    }


def status_message(run: Run, language: str = "en", status: str = "") -> dict[str, Any]:
    """Return where the run stands, in words as well; ``said`` is the template of the words, and its facts.

    Of a run that waits in the queue: its ``place``, 1 for the next, how many are ``ahead`` of it, ``of`` how
    many that wait, and the seconds that it is expected to ``wait`` (`about`); else these are None.
    ``status``: what it was when its rows were read, by default what it is.
    """
    status = status or run.status
    over = status in OVER
    findings = checks.findings(run) if over else []
    standing = dict(zip(("place", "ahead", "of", "wait"), _standing(run) or [None] * 4, strict=True))
    return standing | {
        "type": "status",
        "status": status,
        "reason": run.reason,
        "sentence": run.sentence(),
        "said": _said(run.said(), language),
        "count": len(run),
        "end": over,
        "findings": [finding.plain() | {"said": _said(finding.said, language)} for finding in findings],
    }


def _standing(run: Run) -> Standing | None:
    place = run.place if run.status == "waiting" else None
    return (place.position, place.ahead, place.total, about(place.wait_seconds)) if place else None


def about(seconds: float) -> int:
    """Return seconds as one says them: whole up to ten, then in fives, from two minutes on in half minutes,
    from five minutes on in minutes."""
    step = 1 if seconds < 10 else 5 if seconds < 120 else 30 if seconds < 300 else 60
    return max(1, step * round(seconds / step))


def _said(sentence: Said, language: str) -> Said:
    template, facts = sentence
    return template, translated(facts, language)


def step_message(run: Run, step: int, language: str = "en") -> dict[str, Any]:
    """Return one step's five best classes and its figures; raises `errors.UnknownName` outside the run."""
    return {
        "index": step,
        "top": [translated(asdict(outcome), language) for outcome in run.top(step)],
        "figures": run.figures(step),
        "picture": run.picture_step(step),
    }


def rows_message(run: Run, start: int, language: str = "en") -> dict[str, Any]:
    """Return everything from ``start`` on as plain data, for readers without a WebSocket."""
    run.touch()
    status = run.status  # before the rows: what follows the end would otherwise be lost
    count, classes = len(run), list(run.classes)
    start = min(start, count)
    rows = np.hstack([run.scalars(start, count), run.log_p(start, count, classes)]).astype(float)
    return {
        "start": start,
        "classes": [_class_message(run, p, language) for p in range(len(classes))],
        "past": run.log_p(0, start, classes).astype(float).tolist(),
        "rows": [[v if np.isfinite(v) else None for v in row] for row in rows.tolist()],
        "status": status_message(run, language, status),
    }


def picture(run: Run, step: int, which: str, ext: str, gain: float, view: str) -> bytes:
    """Return one picture of one step, encoded; raises `errors.UnknownName` outside the run."""
    if which == "original":
        return encode(to_image(run.start), ext)
    if which == "adversarial":
        return encode(to_image(run.picture(step)), ext)
    return encode(perturbation(run.delta(step), gain, view), ext)


def seen(engine: EngineBase, recipe: Recipe) -> bytes:
    """Return what the recipe's model sees of its image, as PNG."""
    return encode(to_image(engine.preprocess(recipe)), "png")


def picture_frames(run: Run, step: int, gain: float, view: str) -> list[bytes]:
    """Return the moving pictures of one step: perturbation and adversarial, as JPEG."""
    return [
        struct.pack("<BBHI", 3, WHICH.index(which), 0, step) + picture(run, step, which, "jpg", gain, view)
        for which in ("perturbation", "adversarial")
    ]


def _class_message(run: Run, position: int, language: str) -> dict[str, Any]:
    index = run.classes[position]
    roles = {run.original: "original", run.recipe.target: "target"}
    return {
        "type": "class",
        "position": position,
        "index": index,
        "label": named(run.labels[index], language),
        "role": roles.get(index, "other"),
    }
