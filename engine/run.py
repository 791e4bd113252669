"""A run: one recipe being carried out, with everything that it has seen so far.

A run belongs to the server, not to a page. Its trajectory only grows: what a reader
has read stays true. Step 0 is the untouched picture.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from engine.places import Place
from engine.recipe import Recipe
from engine.sentences import Said, said
from errors import UnknownName

Floats = npt.NDArray[np.float32]
Picture = TypeVar("Picture")

SCALARS = ("margin", "linf", "l2", "l1", "l0", "rms", "grad_norm", "queries", "gradients", "seconds")
"""The figures of a step. Lengths are of the perturbation, on the [0, 1] pixel scale; l0 counts values, of
which a pixel in colour has three. The last three count from the start of the run: images and gradients that
were asked for, seconds (pauses not counted)."""
OVER = ("finished", "cancelled", "failed")
PICTURES = 200
"""Pictures kept per run; beyond that every other one is dropped, again and again."""


@dataclass(frozen=True)
class Prediction:
    """A class and how sure the network is of it, in [0, 1]."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True)
class Observation:
    """One step as it was seen, not yet part of a run.

    ``image`` ``(c, h, w)`` in [0, 1]; ``delta``: its perturbation ``(c, h, w)``; ``log_p``: natural-log
    probabilities ``(classes,)``; ``lengths``: the figures of `SCALARS` from ``margin`` to ``grad_norm``;
    ``queries``: images asked about; ``gradients``: gradients asked for. Of a step that was computed elsewhere
    image and perturbation may not have come (None, but for step 0), and ``seconds`` says when it was, from
    the run's start.
    """

    image: Floats | None
    delta: npt.NDArray[np.float16] | None
    log_p: Floats
    lengths: tuple[float, ...]
    queries: int
    gradients: int
    seconds: float | None = None


@dataclass
class Run:
    """``start`` ``(c, h, w)`` in [0, 1]; ``original`` is its class; ``total`` the declared number of updates,
    so a run that is not stopped early has ``total + 1`` steps.
    ``place``: where it stands in the queue while it waits there (`engine.queue`), kept up to date.
    ``answers_again``: natural-log probabilities ``(classes,)`` that the network gave ``start`` at another
    time, if it was asked then. ``dead_end``: why nothing could change any more, one of the attack's
    `attacks.contract.Attack.dead_ends`."""

    recipe: Recipe
    labels: tuple[str, ...]
    start: Floats
    original: int
    total: int
    clock: Callable[[], float] = time.monotonic
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    status: str = "waiting"
    reason: str | None = None
    error: str | None = None
    dead_end: str | None = None
    place: Place | None = None
    answers_again: Floats | None = None
    queries: int = 0
    gradient_evaluations: int = 0
    classes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._scalars = np.empty((min(self.total, 512) + 1, len(SCALARS)), np.float32)
        self._log_p = np.empty((len(self._scalars), len(self.labels)), np.float32)
        self._pictures: dict[int, npt.NDArray[np.float16]] = {}
        self._every = 1
        self._latest, self._latest_step = self.start, -1
        self._count = 0
        self._active = 0.0
        self._resumed: float | None = None
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], object]] = []
        self.read_at = self.clock()
        self._track([self.original] + ([self.recipe.target] if self.recipe.target is not None else []))

    def append(self, seen: Observation) -> None:
        """Record the next step; only the engine's thread calls this."""
        with self._changed:
            if self.over:
                return
            self._grow()
            if seen.image is not None:
                self._latest, self._latest_step = seen.image, self._count
            self._log_p[self._count] = seen.log_p
            self.queries += seen.queries
            self.gradient_evaluations += seen.gradients
            seconds = self.seconds if seen.seconds is None else seen.seconds
            self._scalars[self._count] = (*seen.lengths, self.queries, self.gradient_evaluations, seconds)
            if seen.delta is not None:
                self._keep_picture(seen.delta)
            self._track(np.argpartition(-seen.log_p, min(5, len(seen.log_p) - 1))[:5].tolist())
            self._count += 1
            self._changed.notify_all()

    def show(self, step: int, image: Floats) -> None:
        """Take over the picture ``(c, h, w)`` in [0, 1] of the newest step, if ``step`` is that one."""
        with self._changed:
            if step == self._count - 1:
                self._latest, self._latest_step = image, step
                self._keep_picture((image - self.start).astype(np.float16), step)

    def restore(
        self,
        log_p: Floats,
        scalars: Floats,
        pictures: dict[int, npt.NDArray[np.float16]],
        classes: list[int],
        latest: Floats | None = None,
    ) -> None:
        """Take over the steps of a run that was written to a file.

        ``log_p`` ``(steps, classes)``, ``scalars`` ``(steps, figures)``, ``pictures``: perturbations
        ``(c, h, w)`` by step, ``classes``: those that were tracked. ``latest``: the picture ``(c, h, w)`` in
        [0, 1] of the last step, where it was kept exactly.
        """
        with self._changed:
            self._log_p, self._scalars, self._pictures = log_p, scalars, dict(pictures)
            self._count, self.classes = len(log_p), list(classes)
            last = self.start + pictures[max(pictures)].astype(np.float32)
            self._latest = np.clip(last, 0, 1) if latest is None else latest
            self._latest_step = self._count - 1
            seconds = float(scalars[-1, SCALARS.index("seconds")])
            self._active = seconds if math.isfinite(seconds) else 0.0
            self.queries = int(scalars[-1, SCALARS.index("queries")])
            self.gradient_evaluations = int(scalars[-1, SCALARS.index("gradients")])

    def set_status(self, status: str, reason: str | None = None, error: str | None = None) -> None:
        """Change the status; a run that is over stays as it is."""
        with self._changed:
            if self.over or status == self.status:
                return
            now = self.clock()
            if self._resumed is not None:
                self._active, self._resumed = self._active + now - self._resumed, None
            if status == "running":
                self._resumed = now
            self.reason, self.error, self.status = reason, error, status
            listeners = self._listeners
            if self.over:
                self._latest = self._latest.copy()  # it may be one row of many, which it would keep
                self._listeners = []  # one that knows the run would hold it in memory
            self._changed.notify_all()
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener``, which must be quick and take no lock, after each change of the status."""
        with self._changed:
            self._listeners = [*self._listeners, listener]  # a new list: another thread may walk the old one

    def unlisten(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` no more; one that is not known changes nothing."""
        with self._changed:
            self._listeners = [other for other in self._listeners if other is not listener]

    @property
    def targeted(self) -> bool:
        """Say whether it is to reach a class, rather than leave one."""
        return self.recipe.target is not None

    @property
    def aim(self) -> int:
        """Return the class to reach, or, without a target, the class to leave."""
        return self.recipe.aim(self.original)

    @property
    def over(self) -> bool:
        """Say whether nothing more will come."""
        return self.status in OVER

    @property
    def seconds(self) -> float:
        """Return how long the run has been running, pauses not counted."""
        return self._active + (self.clock() - self._resumed if self._resumed is not None else 0.0)

    def touch(self) -> None:
        """Note that somebody reads this run."""
        self.read_at = self.clock()

    def __len__(self) -> int:
        """Return how many steps are recorded."""
        return self._count

    def scalars(self, start: int, stop: int) -> Floats:
        """Return the figures named by `SCALARS` of steps ``start`` to ``stop - 1``, one row each."""
        return self._scalars[start : min(stop, self._count)]

    def log_p(self, start: int, stop: int, classes: list[int] | None = None) -> Floats:
        """Return natural-log probabilities, one row a step, of all classes or of those named."""
        rows = self._log_p[start : min(stop, self._count)]
        return rows if classes is None else rows[:, classes]

    def top(self, step: int, k: int = 5) -> list[Prediction]:
        """Return the ``k`` most probable classes at ``step``, the most probable first."""
        row = self._log_p[self._at(step)]
        best = np.argsort(-row, kind="stable")[:k]
        return [Prediction(int(i), self.labels[i], float(np.exp(row[i]))) for i in best]

    def prediction(self, step: int, index: int) -> Prediction:
        """Return how probable class ``index`` is at ``step``."""
        return Prediction(index, self.labels[index], float(np.exp(self._log_p[self._at(step), index])))

    def figures(self, step: int) -> dict[str, float | None]:
        """Return the figures of one step by name; None where no gradient was asked for."""
        row = self._scalars[self._at(step)]
        return {n: float(v) if np.isfinite(v) else None for n, v in zip(SCALARS, row, strict=True)}

    def succeeded(self, step: int) -> bool:
        """Say whether the network is fooled as asked at ``step``."""
        return bool(self._scalars[self._at(step), 0] > 0)

    def picture_step(self, step: int) -> int:
        """Return the step whose stored picture stands for ``step``: itself, or one shortly before."""
        with self._changed:
            step = self._at(step)
            return max(k for k in self._pictures if k <= step)

    def delta(self, step: int) -> Floats:
        """Return the perturbation ``(c, h, w)`` of the stored picture that stands for ``step``."""
        with self._changed:
            return self._pictures[max(k for k in self._pictures if k <= self._at(step))].astype(np.float32)

    def stored(self) -> tuple[int, dict[int, npt.NDArray[np.float16]]]:
        """Return how many steps are recorded, and the perturbations ``(c, h, w)`` that are stored then, by
        step; that of the last step is among them, but for a run that goes on elsewhere."""
        with self._changed:
            return self._count, dict(self._pictures)

    def picture(self, step: int) -> Floats:
        """Return the picture ``(c, h, w)`` that stands for ``step``: the newest exactly, an earlier
        one to within float16 of its perturbation; so is a large one of a run that goes on elsewhere."""
        with self._changed:
            if step == self._count - 1 and step == self._latest_step:
                return self._latest
        return np.clip(self.start + self.delta(step), 0, 1) if step else self.start

    def thin(self, most: int) -> int:
        """Keep the pictures of at most ``most`` evenly spaced steps, and of the last one; return the bytes
        that this frees. Only a run that is over may be thinned."""
        with self._changed:
            before = self._held
            self._pictures = spaced(self._pictures, max(self._pictures, default=0), most)
            return before - self._held

    @property
    def bytes(self) -> int:
        """Return roughly how much memory the run holds."""
        with self._changed:
            return self._held + self._log_p.nbytes + self._scalars.nbytes + self._latest.nbytes

    def wait(self, seen: int, timeout: float | None = None) -> bool:
        """Block until there are more than ``seen`` steps or the run is over; False on time-out."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count > seen or self.over, timeout)

    def sentence(self) -> str:
        """Return in words why the run stopped, or what it is doing."""
        template, facts = self.said()
        return template.format(**facts)

    def said(self) -> Said:
        """Return the `sentence` as its template and the facts in it."""
        return said(self)

    @property
    def _held(self) -> int:
        return sum(picture.nbytes for picture in self._pictures.values())

    def _at(self, step: int) -> int:
        if not 0 <= step < self._count:
            raise UnknownName(f"Expected a step from 0 to {self._count - 1}, got {step}.")
        return step

    def _grow(self) -> None:
        if self._count == len(self._scalars):
            room = min(self._count, self.total + 2 - self._count) or 1
            self._scalars = np.concatenate([self._scalars, np.empty((room, len(SCALARS)), np.float32)])
            self._log_p = np.concatenate([self._log_p, np.empty((room, len(self.labels)), np.float32)])

    def _keep_picture(self, delta: npt.NDArray[np.float16], step: int | None = None) -> None:
        """Keep the picture of ``step``, by default the one that comes next."""
        step = self._count if step is None else step
        last = next(reversed(self._pictures), 0)
        if last % self._every and last != step:
            del self._pictures[last]
        if len(self._pictures) >= PICTURES:
            self._every *= 2
            self._pictures = {k: v for k, v in self._pictures.items() if k % self._every == 0}
        self._pictures[step] = delta

    def _track(self, indices: list[int]) -> None:
        self.classes += [index for index in indices if index not in self.classes]


def spaced(pictures: Mapping[int, Picture], last: int, most: int) -> dict[int, Picture]:
    """Return those of ``pictures``, by step, that are of evenly spaced steps, at most ``most`` beside the
    first, or of the step ``last``."""
    every = 1
    while last // every > most:
        every *= 2
    return {step: picture for step, picture in pictures.items() if step % every == 0 or step == last}
