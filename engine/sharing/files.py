"""Every file that shows a run to others, by its name: made when it is asked for, and then remembered.

| name | what it is |
|---|---|
| ``animation-slide.webp``, ``.gif``, ``.mp4`` | the run as a moving picture, 1280 x 720 |
| ``animation-chat.webp``, ``.gif``, ``.mp4`` | the same, 480 pixels wide |
| ``report.html`` | all of the run on one page that needs nothing else |
| ``repeat.py``, ``repeat.zip``, ``repeat.ipynb`` | code that repeats it; in the zip with its picture |
| ``recipe.json``, ``trajectory.csv``, ``trajectory.npz`` | what determines it, its curve, its arrays |
| ``inside.json``, ``inside.npz`` | what was computed about the network's inside, its arrays |
| ``qr.svg`` | its link as a QR code |
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engine.inside.computed import COMPUTED
from engine.run import Run
from engine.sharing import address, animation, data, inside, report_page, script
from engine.sharing.curve import goal
from engine.sharing.frames import LAYOUTS
from engine.sharing.voice import Voice
from errors import FoolscopeError, UnknownName

LIMIT = 96 * 2**20
"""Bytes of files that are remembered."""
NOT_OVER = "This run is not over yet: stop it, or wait for its end, and then show it to others."
FAILED = "This run failed, so there is nothing to show of it: {reason}"
TOO_SHORT = "This run ended before its first step, so there is nothing to show of it."
NO_PICTURES = (
    "The pictures of this run were not stored, so only its code and its data can be shown to others."
)

Make = Callable[[Run, str, Voice], bytes]
"""Makes a file of a run; the address of the playground and the language, for those that have them inside."""


@dataclass(frozen=True)
class Kind:
    """``media``: its type; ``make``; ``pictures``: whether it needs more than the original."""

    media: str
    make: Make
    pictures: bool = False


def _animation(write: Callable[..., bytes], size: str) -> Make:
    return lambda run, at, voice: write(run, LAYOUTS[size], voice)


def _text(write: Callable[[Run], str]) -> Make:
    return lambda run, at, voice: write(run).encode()


MOVING = {"webp": animation.webp, "gif": animation.gif, "mp4": animation.mp4}
MEDIA = {"webp": "image/webp", "gif": "image/gif", "mp4": "video/mp4"}
FILES: dict[str, Kind] = {
    f"animation-{size}.{ext}": Kind(MEDIA[ext], _animation(write, size), pictures=True)
    for size in LAYOUTS
    for ext, write in MOVING.items()
} | {
    "report.html": Kind("text/html", lambda run, at, voice: report_page.page(run, at, voice).encode(), True),
    "repeat.py": Kind("text/x-python", _text(script.script)),
    "repeat.zip": Kind("application/zip", lambda run, at, voice: data.bundle(run, script.script(run))),
    "repeat.ipynb": Kind("application/x-ipynb+json", _text(script.notebook)),
    "recipe.json": Kind("application/json", _text(data.recipe)),
    "trajectory.csv": Kind("text/csv", _text(data.table)),
    "trajectory.npz": Kind("application/x-npz", lambda run, at, voice: data.arrays(run), True),
    "inside.json": Kind("application/json", _text(inside.record)),
    "inside.npz": Kind("application/x-npz", lambda run, at, voice: inside.arrays(run)),
    "qr.svg": Kind("image/svg+xml", lambda run, at, voice: _qr(run, at, voice)),
}
"""Every file by its name."""
INNER = ("report.html", "inside.json", "inside.npz")
"""The files that change when more was computed about the network's inside."""


def _qr(run: Run, at: str, voice: Voice) -> bytes:
    return address.qr(address.link(run, at, voice.language)).encode()


class Made:
    """Files that were made, the least recently used forgotten beyond ``limit`` bytes; one is made at a time,
    for a moving picture takes seconds and a hundred megabytes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._files: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._lock, self._turn = threading.Lock(), threading.Lock()

    @property
    def size(self) -> int:
        """Return how much is remembered."""
        with self._lock:
            return sum(map(len, self._files.values()))

    def get(self, key: tuple[str, ...], make: Callable[[], bytes]) -> bytes:
        """Return the file called ``key``, made if it is not remembered."""
        known = self._known(key)
        if known is not None:
            return known
        with self._turn:
            known = self._known(key)  # another reader may have asked for the same
            return self._remember(key, make()) if known is None else known

    def _known(self, key: tuple[str, ...]) -> bytes | None:
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
            return self._files.get(key)

    def _remember(self, key: tuple[str, ...], content: bytes) -> bytes:
        with self._lock:
            self._files[key] = content
            spare = sum(map(len, self._files.values())) - self._limit
            while spare > 0:
                _, old = self._files.popitem(last=False)
                spare -= len(old)
        return content


MADE = Made()
"""The files of this process."""


def check(run: Run) -> None:
    """Raise `errors.FoolscopeError`, one sentence, when nothing of a run can be shown."""
    if run.status == "failed":
        raise FoolscopeError(FAILED, reason=run.sentence())
    if not run.over:
        raise FoolscopeError(NOT_OVER)
    if len(run) < 2:
        raise FoolscopeError(TOO_SHORT)


def check_pictures(run: Run) -> None:
    """Raise `errors.FoolscopeError` when no picture of a run was stored but the original."""
    try:
        stored = run.picture_step(len(run) - 1)
    except ValueError:
        stored = 0
    if stored == 0:
        raise FoolscopeError(NO_PICTURES)


def made(run: Run, name: str, voice: Voice, at: str = "") -> bytes:
    """Return the file called ``name`` of a run; blocks for seconds, so call it in a thread.

    ``at``: the address of the playground. Raises `errors.UnknownName` for another name and
    `errors.FoolscopeError` when the run has no such file.
    """
    if name not in FILES:
        raise UnknownName.of("file", name, FILES)
    check(run)
    kind = FILES[name]
    if kind.pictures:
        check_pictures(run)
    inner = COMPUTED.state(run.id) if name in INNER else ""
    key = (run.id, str(len(run)), name, voice.language, at, inner)
    return MADE.get(key, partial(kind.make, run, at, voice))


def file_name(run: Run, name: str) -> str:
    """Return what a downloaded file is called: the run's classes in letters that every system takes."""
    stem, _, ending = name.rpartition(".")
    end = goal(run)
    labels = [run.labels[index] for index in (run.original, end) if index is not None]
    classes = "-".join(re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:30] for label in labels)
    return f"foolscope-{classes}-{stem}.{ending}"
