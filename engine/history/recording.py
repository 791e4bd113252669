"""How far a run has been written, and what is to be written next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.history.packing import QUICK, SMALL, pack_array, pack_rows
from engine.history.records import Upload
from engine.images.sources import PREPARED, UPLOAD
from engine.loop import CLOSED
from engine.render import encode, thumbnail, to_image
from engine.run import Floats, Run, spaced
from engine.sentences import ALWAYS, Said, said

PICTURES = 8
"""Pictures of a run that are kept at most, beside its first and last one."""
THUMBNAIL = 112
"""Pixels of a thumbnail's side at most."""
SIGN_OF_LIFE = 2.0
"""Seconds between two signs of life of a run that nothing else is to be written of."""
INTERRUPTED = "interrupted"
"""The reason of a run that a stop of the server ended."""

Pictures = dict[int, npt.NDArray[Any]]
"""By step: the perturbation ``(c, h, w)`` in half precision; in single precision the picture itself."""


@dataclass(frozen=True)
class Changes:
    """What is to be written of a run.

    ``row``: columns of `engine.history.tables.runs`. ``first_step`` and ``rows``: the steps from there on,
    ``rows`` None for none. ``pictures``: by step; ``dropped``: the steps whose pictures are no longer kept;
    ``staying``: those whose pictures stay as they were written. ``steps``: how many are written then.
    ``over``: nothing more will come, and ``rows`` replace all before.
    """

    row: Mapping[str, object]
    first_step: int
    rows: bytes | None
    pictures: Mapping[int, bytes]
    dropped: tuple[int, ...]
    staying: tuple[int, ...]
    steps: int
    over: bool


class Recording:
    """A run that is being written; only the writer's thread asks it for `changes`."""

    def __init__(self, run: Run, owner: str, started: float, pictures: bool) -> None:
        """``owner``: whose it is; ``started``: in seconds since 1970; ``pictures``: whether they are kept.
        ``token``: the name of the upload that the run began with, None where it is another picture;
        ``upload``: that upload, if it is to be kept."""
        self.run, self.owner, self.started, self._keeps = run, owner, started, pictures
        name = run.recipe.image.removeprefix(PREPARED)
        self.token = name if name.startswith(UPLOAD) else None
        self.upload: Upload | None = None
        self.restart()

    def restart(self) -> None:
        """Begin anew: what was written is gone."""
        self.written, self.inserted, self._status = 0, False, ""
        self._rows_bytes, self._seen = 0, 0.0
        self._sizes: dict[int, int] = {}

    @property
    def brings(self) -> bool:
        """Say whether its upload is to be written yet."""
        return self.upload is not None and not self.inserted

    def changes(self, now: float, level: int = SMALL) -> Changes | None:
        """Return what to write at ``now``, in seconds since 1970; None for nothing.

        ``level``: of zlib, for the pictures of a run that is over.
        """
        run, over = self.run, self.run.over  # before the steps: none follow it
        steps, stored = run.stored()
        idle = (steps, run.status) == (self.written, self._status)
        if self.inserted and idle and not over:  # a sign of life, no more
            if 0 <= now - self._seen < SIGN_OF_LIFE:
                return None
            return Changes({"seen": now}, steps, None, {}, (), (), steps, over)
        rows = self._rows(steps, over)
        pictures = self._pictures(steps, stored, over) if self._keeps and steps else {}
        anew = {step for step in pictures if step not in self._sizes or (over and level != QUICK)}
        anew |= {steps - 1} & pictures.keys() if over else set()  # which is exact from now on
        blobs = {step: pack_array(pictures[step], level if over else QUICK) for step in anew}
        sizes = {step: len(blobs[step]) if step in blobs else self._sizes[step] for step in pictures}
        rows_bytes = len(rows or b"") + (0 if over else self._rows_bytes)
        row = self._standing(steps, over, now)
        row["after"] = self._after(stored[max(stored)]) if self._keeps and steps else None
        row |= {"bytes": rows_bytes + sum(sizes.values())} | ({} if self.inserted else self._facts())
        dropped = tuple(step for step in self._sizes if step in anew or step not in pictures)
        staying = tuple(pictures.keys() - anew)
        return Changes(row, 0 if over else self.written, rows, blobs, dropped, staying, steps, over)

    def written_down(self, changes: Changes) -> None:
        """Note that ``changes`` are in the database."""
        self.inserted, self.written = True, changes.steps
        self._status = str(changes.row.get("status", self._status))
        self._seen = float(str(changes.row["seen"]))
        self._rows_bytes += len(changes.rows or b"")
        for step in changes.dropped:
            self._sizes.pop(step, None)
        self._sizes |= {step: len(blob) for step, blob in changes.pictures.items()}

    def _rows(self, steps: int, over: bool) -> bytes | None:
        """Return the steps that are new, with every class in half precision; of a run that is over all steps,
        with the classes that were ever among the most probable."""
        run = self.run
        if over and steps:
            classes = list(run.classes)
            return pack_rows(run.scalars(0, steps), run.log_p(0, steps, classes), classes)
        if steps == self.written:
            return None
        log_p = run.log_p(self.written, steps).astype(np.float16)
        return pack_rows(run.scalars(self.written, steps), log_p, level=QUICK)

    def _pictures(self, steps: int, stored: Pictures, over: bool) -> Pictures:
        """Return the pictures to keep: some evenly spaced ones and the last."""
        last = steps - 1
        return spaced(stored, last, PICTURES) | ({last: self.run.picture(last)} if over else {})

    def _facts(self) -> dict[str, object]:
        """Return the columns that never change."""
        run, again = self.run, self.run.answers_again
        return {
            "id": run.id,
            "owner": self.owner,
            "name": "",
            "recipe": run.recipe.to_json(),
            "upload": self.token if self._keeps else None,
            "started": self.started,
            "total": run.total,
            "original": run.original,
            "first_label": run.labels[run.original],
            "again": None if again is None else pack_array(again),
            "before": _thumbnail(run.start) if self._keeps else None,
        }

    def _standing(self, steps: int, over: bool, now: float) -> dict[str, object]:
        """Return the columns that say how far the run is."""
        run = self.run
        stopped = run.status == "failed" and run.error == CLOSED
        template, facts = interrupted(steps) if stopped else said(run)
        best = run.top(steps - 1, 1)[0] if steps else None
        return {
            "status": "cancelled" if stopped else run.status,
            "reason": INTERRUPTED if stopped else run.reason,
            "error": None if stopped else run.error,
            "dead_end": run.dead_end,
            "template": template,
            "facts": dict(facts),
            "seen": now,
            "ended": now if over else None,
            "steps": steps,
            "classes": list(run.classes),
            "last_label": best and best.label,
            "probability": best and best.probability,
            "success": run.succeeded(steps - 1) if steps else None,
        }

    def _after(self, delta: npt.NDArray[np.float16]) -> bytes:
        return _thumbnail(self.run.start + delta.astype(np.float32))


def interrupted(steps: int) -> Said:
    """Return in words that the server stopped when ``steps`` steps were recorded."""
    return ALWAYS[INTERRUPTED], {"steps": max(steps - 1, 0)}


def _thumbnail(x: Floats) -> bytes:
    """Return a picture ``(c, h, w)`` in [0, 1], small."""
    picture = to_image(x)
    if max(picture.size) <= THUMBNAIL:
        return encode(picture, "png")
    return encode(thumbnail(picture, THUMBNAIL), "jpg")
