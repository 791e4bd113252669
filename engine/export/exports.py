"""What can be downloaded of a run, computed when it is asked for and remembered."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

import models
from attacks.contract import Criterion, Evaluation, Objective
from engine import links
from engine.export import carried, finish
from engine.export.carried import Carried, Format, Kind
from engine.export.finish import Ask, Finished, Goal, Room
from engine.export.verdict import Verdict, judge, own_criterion
from engine.export.view import Floats, Levels, View, network_view
from engine.images.sources import MAX_SIDE, PREPARED, UPLOAD, examine
from engine.render import perturbation, suggest_gain
from engine.robustness.corruptions import jpeg
from engine.run import Run
from engine.sentences import Said
from errors import BadImage

LIMIT = 256 * 2**20
"""Bytes of exports that are remembered."""
TURNS = 16
"""So many runs' files are made at a time at most; those of one run one after the other."""
SURE = 0.99
"""A finish goes on until a target is so sure, where the run was stopped at less."""
RESAVED = 0.9
"""What share of its probability a file with a linf budget is to keep where somebody saves it as JPEG 90."""
SPARSE = 0.25
"""Where a smaller share of the values than this changed, no other may change in the finish."""
SHRUNK = "Pictures are kept at {side} pixels a side at most; this file has that size."
AMPLIFIED = "Amplified {gain} times around grey."
COARSE = "In 8 bits the least change is 1/255; the run's budget was {levels}/255."


class Wanted(NamedTuple):
    """Which file of a run: the picture of which ``step``, finished on the grid of 8 bits or only rounded."""

    kind: Kind
    step: int
    finished: bool = False
    format: Format = "png"


@dataclass(frozen=True)
class Export:
    """A file: its bytes, what to call it, its width and height in pixels, what the network says of these very
    bytes, what there is to note about it, and how many queries its finish asked."""

    data: bytes
    name: str
    size: tuple[int, int]
    verdict: Verdict
    notes: tuple[Said, ...] = ()
    queries: int = 0


class Asked(Protocol):
    """What an export asks of an engine."""

    def evaluate(
        self, model: str, x: Tensor, objective: Objective | None = None, goal: Criterion | None = None
    ) -> Evaluation:
        """Return the answer to one query."""

    def picture(self, image: str) -> Image.Image:
        """Return the image of that name."""


class Exports:
    """Makes files of runs; those made last are remembered. Safe to share between threads."""

    def __init__(self, engine: Asked, limit: int = LIMIT) -> None:
        self._engine, self._limit = engine, limit
        self._files: OrderedDict[tuple[str, Wanted], Export] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = tuple(threading.Lock() for _ in range(TURNS))

    def known(self, run: Run, wanted: Wanted) -> Export | None:
        """Return a file if it was made before."""
        with self._lock:
            return self._files.get((run.id, wanted))

    def get(self, run: Run, wanted: Wanted) -> Export:
        """Return a file of ``run``, which is read back and classified.

        Raises `errors.FoolscopeError` where there is no such file: a step that is not there, or a photo's own
        size for a digit that was prepared.
        """
        with self._turns[hash(run.id) % TURNS]:
            known = self.known(run, wanted)
            if known is None:
                known = self._made(run, wanted)
                self._remember(run, wanted, known)
            return known

    def forget(self, runs: Collection[str]) -> None:
        """Let go of the files of these runs."""
        with self._lock:
            for key in [key for key in self._files if key[0] in runs]:
                del self._files[key]

    def _remember(self, run: Run, wanted: Wanted, export: Export) -> None:
        with self._lock:
            self._files[run.id, wanted] = export
            while sum(len(each.data) for each in self._files.values()) > self._limit and len(self._files) > 1:
                self._files.popitem(last=False)

    def _made(self, run: Run, wanted: Wanted) -> Export:
        subject = self._subject(run, wanted)
        if wanted.kind == "added":
            return _added(subject)
        if not wanted.finished:
            change = finish.rounded(subject.start, subject.view.room)
            return _file(subject, subject.view.picture(change), 0)
        finished = subject.finish(subject.room())
        return _file(subject, subject.view.picture(finished.change), finished.queries)

    def _subject(self, run: Run, wanted: Wanted) -> Subject:
        card = models.card(run.recipe.model)
        ask = partial(self._engine.evaluate, card.name)
        image = run.recipe.image.removeprefix(PREPARED)
        original = self._engine.picture(image)
        view = network_view(card, run.start)
        criterion = run.criterion
        if wanted.kind == "photo":
            if run.recipe.image.startswith(PREPARED):
                raise BadImage(
                    "Expected a photo that the network sees as it is, got a digit prepared as MNIST does: "
                    "there is a file at the network's size only."
                )
            view = View(card, original, carried.entering(card, original))
            criterion = own_criterion(criterion, ask(view.see(_nothing(view)), None).logits)
        return Subject(run, wanted, partial(ask, goal=criterion), view, criterion, original)


@dataclass(frozen=True)
class Subject:
    """What a file is made of. ``view``: of the untouched picture that it differs from; ``original``: the
    picture that the run began with."""

    run: Run
    wanted: Wanted
    ask: Ask
    view: View
    criterion: Criterion
    original: Image.Image

    @property
    def delta(self) -> Floats:
        """Return the run's perturbation ``(c, size, size)`` on the scale of [0, 1]."""
        delta: Floats = self.run.picture(self.wanted.step) - self.run.picture(0)
        return delta

    @property
    def start(self) -> Floats:
        """Return the perturbation in grey levels ``(c, h, w)`` of the picture, not rounded yet."""
        if self.wanted.kind != "photo":
            return self.delta * np.float32(255)
        return self._through.lift(self.delta)

    @cached_property
    def _through(self) -> View:
        """Return the original as the run saw it."""
        crop = self.run.recipe.crop or carried.entering(self.view.card, self.original)
        return View(self.view.card, self.original, crop)

    @property
    def budget(self) -> int | None:
        """Return the whole grey levels that the attack's linf budget allows, 1 at least; None without one."""
        norm, epsilon = self.run.recipe.build().bound() or ("", 0.0)
        return max(1, int(255 * epsilon + 1e-3)) if norm == "linf" else None

    def room(self) -> Room:
        """Return how far each value may go: in its range, the budget, and where the run may change it; where
        there is no budget, one whole level above the run's own linf at most."""
        cap = self.budget or int(255 * float(np.abs(self.delta).max())) + 1
        low, high = self.view.room
        free = ~self._held()
        return np.maximum(low, -cap) * free, np.minimum(high, cap) * free

    def _held(self) -> npt.NDArray[np.bool_]:
        """Return which values ``(c, h, w)`` may not change."""
        free = np.ones(self.run.start.shape, np.float32)
        changed = np.broadcast_to(np.abs(self.delta).max(0) > 0, free.shape)
        if changed.any() and changed.mean() < SPARSE:
            free *= changed
        if self.run.recipe.region:
            free *= self.run.recipe.region.mask(self.run.start[None])[0].numpy()
        if free.all():
            return np.zeros(self.view.shape, bool)
        if self.wanted.kind != "photo":
            return np.asarray(free == 0, bool)
        weight = self._through.pull(255 * free)
        whole = float(self._through.pull(np.full_like(free, 255)).max())
        held: npt.NDArray[np.bool_] = weight <= 0.5 * whole
        return held

    def finish(self, room: Room) -> Finished:
        """Return the change ``(c, h, w)`` on the grid of 8 bits that holds once it is saved."""
        start, saved = self.start, self.view
        if self.wanted.format != "png":  # which alone leaves pixels as they are
            saved = replace(saved, after=partial(_reopened, format=self.wanted.format))
        if self.budget is None:
            return finish.least_change(Goal(self.ask, saved, self.criterion), start, room)
        run, step = self.run, self.wanted.step
        index = run.original if run.recipe.target is None else run.recipe.target
        p = run.prediction(step, index).probability
        reached = max(p, SURE) if run.recipe.target is not None else 1 - p
        probability = min(reached, 0.999) if run.succeeded(step) else 0.0
        goal = Goal(self.ask, saved, self.criterion, probability)
        finished = finish.within(goal, start, room)
        whole = self.wanted.format == "png" and finished.reached
        return self._saved_again(goal, finished, room) if whole else finished

    def _saved_again(self, goal: Goal, finished: Finished, room: Room) -> Finished:
        """Return a change that holds as a PNG and where somebody saves that as JPEG 90; ``finished``, which
        holds as a PNG, where there is none within the queries."""
        goal = replace(goal, probability=RESAVED * finished.probability)
        resaved = replace(goal, view=replace(goal.view, after=jpeg(90)))
        further = finish.within(resaved, finished.change, room)
        queries = finished.queries + further.queries
        if not further.reached or np.array_equal(further.change, finished.change):
            return replace(finished, queries=queries)
        as_png = finish.ask(goal, further.change, goal.criterion.margin)
        return replace(further if as_png.reached else finished, queries=queries + 1)


def _nothing(view: View) -> Levels:
    return np.zeros(view.shape, np.int16)


def _reopened(picture: Image.Image, format: Format) -> Image.Image:
    """Return the picture as the door reads it from a file."""
    return examine(carried.encode(picture, format)).picture


def _file(subject: Subject, picture: Image.Image, queries: int) -> Export:
    """Return the picture as a file that carries its recipe, and what is read back from it."""
    format = subject.wanted.format
    about = _carried(subject, _reopened(picture, format))
    first = judge(subject.ask, subject.view, subject.criterion, carried.encode(picture, format, about))
    data = carried.encode(picture, format, replace(about, verdict=first.plain()))
    verdict = judge(subject.ask, subject.view, subject.criterion, data)
    return Export(data, _name(subject, verdict), picture.size, verdict, _notes(subject), queries)


def _carried(subject: Subject, picture: Image.Image) -> Carried:
    """Return the recipe that a file carries, without the name of an upload; ``picture``: its pixels."""
    recipe = subject.run.recipe
    prepared = PREPARED * recipe.image.startswith(PREPARED)
    upload = recipe.image.removeprefix(PREPARED).startswith(UPLOAD)
    settings = links.write(replace(recipe, image=prepared + UPLOAD) if upload else recipe)
    return Carried(
        settings=settings,
        kind=subject.wanted.kind,
        original=carried.digest(subject.original),
        pixels=carried.digest(picture),
        made_with=carried.versions(),
        verdict={},
    )


def _name(subject: Subject, verdict: Verdict) -> str:
    """Return a file name that tells what was made of what, with nothing of what the upload was called."""
    run, (kind, step, _, format) = subject.run, subject.wanted
    goal = verdict.label if run.recipe.target is None else run.labels[run.recipe.target]
    width, height = subject.view.photo.size
    how = "added" if kind == "added" else "as" if verdict.success else "not yet"
    goal = goal if goal != run.labels[run.original] else "another class"
    parts = [run.labels[run.original], how, goal, f"{width}x{height}"]
    parts += [f"step {step}"] if step < len(run) - 1 else []
    slug = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")[:100]
    return f"{slug}.{format}"


def _added(subject: Subject) -> Export:
    delta = subject.delta
    gain = suggest_gain(delta)
    picture = perturbation(delta, gain)
    data = carried.encode(picture, subject.wanted.format)
    verdict = judge(subject.ask, subject.view, subject.criterion, data)
    notes: tuple[Said, ...] = ((AMPLIFIED, {"gain": gain}),)
    return Export(data, _name(subject, verdict), picture.size, verdict, notes)


def _notes(subject: Subject) -> tuple[Said, ...]:
    notes: list[Said] = []
    if subject.wanted.kind == "photo" and max(subject.view.photo.size) == MAX_SIDE:
        notes.append((SHRUNK, {"side": f"{MAX_SIDE:,}"}))
    norm, epsilon = subject.run.recipe.build().bound() or ("", 1.0)
    if subject.wanted.finished and norm == "linf" and 255 * epsilon < 1 - 1e-3:
        notes.append((COARSE, {"levels": f"{255 * epsilon:.3g}"}))
    return tuple(notes)
