"""The making of one file of a run: finished or rounded, named, and read back by the network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import models
from attacks.contract import Criterion
from engine import links
from engine.export import carried, finish
from engine.export.carried import Carried, Format, Kind
from engine.export.finish import Ask, Finished, Goal, Room
from engine.export.verdict import Verdict, judge, own_criterion
from engine.export.view import Levels, View, network_view
from engine.images.sources import MAX_SIDE, PREPARED, UPLOAD, examine
from engine.recipe import Recipe
from engine.render import perturbation, suggest_gain
from engine.robustness.corruptions import jpeg
from engine.run import Floats, Run
from engine.sentences import Said
from engine.work import Evaluates
from errors import BadImage
from models.core import Crop

SURE = 0.99
"""A finish goes on until a target is so sure, where the run was stopped at less."""
RESAVED = 0.9
"""What share of its probability a file with a linf budget is to keep where somebody saves it as JPEG 90."""
SPARSE = 0.25
"""Where a smaller share of the values than this changed, no other may change in the finish."""
PREPARED_ONLY = (
    "Expected a photo that the network sees as it is, got a digit prepared as MNIST does: there is a file at "
    "the network's size only."
)
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


@dataclass(frozen=True)
class Making:
    """All that a file follows from, as plain data.

    ``original``: the class that the run's untouched picture has; ``photo``: the picture that the run began
    with, and ``entering``: the crop with which it goes in; ``start`` ``(c, size, size)`` in [0, 1]: what the
    network saw of it; ``delta``: the perturbation of the wanted step; ``probability`` of the target then, or,
    without one, of the original class; ``fooled``: as the run asked; ``last``: whether no step follows it.
    """

    recipe: Recipe
    wanted: Wanted
    original: int
    photo: Image.Image
    entering: Crop | None
    start: Floats
    delta: Floats
    probability: float
    fooled: bool
    last: bool

    @classmethod
    def of(cls, run: Run, wanted: Wanted, photo: Image.Image) -> Making:
        """Return what a file of a run follows from; raises as `engine.export.exports.Exports.get` does."""
        recipe, step = run.recipe, wanted.step
        if wanted.kind == "photo" and recipe.image.startswith(PREPARED):
            raise BadImage(PREPARED_ONLY)
        return cls(
            recipe,
            wanted,
            run.original,
            photo,
            carried.entering(models.card(recipe.model), photo),
            run.start,
            run.picture(step) - run.picture(0),
            run.prediction(step, run.aim).probability,
            run.succeeded(step),
            step == len(run) - 1,
        )

    @property
    def model(self) -> str:
        """Return the name of the model that is asked."""
        return self.recipe.model

    def carry_out(self, engine: Evaluates) -> Iterator[Export]:
        """Yield the one file, which is read back and classified."""
        subject = self._subject(engine)
        yield _added(subject) if self.wanted.kind == "added" else self._made(subject)

    def _made(self, subject: Subject) -> Export:
        if not self.wanted.finished:
            change = finish.rounded(subject.start, subject.view.room)
            return _file(subject, subject.view.picture(change), 0)
        finished = subject.finish(subject.room())
        return _file(subject, subject.view.picture(finished.change), finished.queries)

    def _subject(self, engine: Evaluates) -> Subject:
        card = models.card(self.model)
        ask = partial(engine.evaluate, card.name)
        view = network_view(card, torch.from_numpy(self.start))
        aim, targeted = self.recipe.aim(self.original), self.recipe.target is not None
        criterion = Criterion(torch.tensor([aim]), targeted)
        if self.wanted.kind == "photo":
            view = View(card, self.photo, self.entering)
            criterion = own_criterion(criterion, ask(view.see(_nothing(view)), None).logits)
        return Subject(self, partial(ask, goal=criterion), view, criterion)


@dataclass(frozen=True)
class Subject:
    """What a file is made of. ``view``: of the untouched picture that it differs from."""

    making: Making
    ask: Ask
    view: View
    criterion: Criterion

    @property
    def wanted(self) -> Wanted:
        """Return which file it is."""
        return self.making.wanted

    @property
    def start(self) -> Floats:
        """Return the perturbation in grey levels ``(c, h, w)`` of the picture, not rounded yet."""
        delta = self.making.delta
        return delta * np.float32(255) if self.wanted.kind != "photo" else self._through.lift(delta)

    @cached_property
    def _through(self) -> View:
        """Return the original as the run saw it."""
        return View(self.view.card, self.making.photo, self.making.recipe.crop or self.making.entering)

    @property
    def budget(self) -> int | None:
        """Return the whole grey levels that the attack's linf budget allows, 1 at least; None without one."""
        norm, epsilon = self.making.recipe.build().bound() or ("", 0.0)
        return max(1, int(255 * epsilon + 1e-3)) if norm == "linf" else None

    def room(self) -> Room:
        """Return how far each value may go: in its range, the budget, and where the run may change it; where
        there is no budget, one whole level above the run's own linf at most."""
        cap = self.budget or int(255 * float(np.abs(self.making.delta).max())) + 1
        low, high = self.view.room
        free = ~self._held()
        return np.maximum(low, -cap) * free, np.minimum(high, cap) * free

    def _held(self) -> npt.NDArray[np.bool_]:
        """Return which values ``(c, h, w)`` may not change."""
        start, region = self.making.start, self.making.recipe.region
        free = np.ones(start.shape, np.float32)
        changed = np.broadcast_to(np.abs(self.making.delta).max(0) > 0, free.shape)
        if changed.any() and changed.mean() < SPARSE:
            free *= changed
        if region:
            free *= region.mask(*start.shape[1:])
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
        p = self.making.probability
        reached = max(p, SURE) if self.making.recipe.target is not None else 1 - p
        probability = min(reached, 0.999) if self.making.fooled else 0.0
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
    recipe = subject.making.recipe
    prepared = PREPARED * recipe.image.startswith(PREPARED)
    upload = recipe.image.removeprefix(PREPARED).startswith(UPLOAD)
    settings = links.write(replace(recipe, image=prepared + UPLOAD) if upload else recipe)
    return Carried(
        settings=settings,
        kind=subject.wanted.kind,
        original=carried.digest(subject.making.photo),
        pixels=carried.digest(picture),
        made_with=carried.versions(),
        verdict={},
    )


def _name(subject: Subject, verdict: Verdict) -> str:
    """Return a file name that tells what was made of what, with nothing of what the upload was called."""
    making, (kind, step, _, format) = subject.making, subject.wanted
    labels, target = subject.view.card.labels, making.recipe.target
    original, goal = labels[making.original], verdict.label if target is None else labels[target]
    width, height = subject.view.photo.size
    how = "added" if kind == "added" else "as" if verdict.success else "not yet"
    goal = goal if goal != original else "another class"
    parts = [original, how, goal, f"{width}x{height}"]
    parts += [] if making.last else [f"step {step}"]
    slug = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")[:100]
    return f"{slug}.{format}"


def _added(subject: Subject) -> Export:
    delta = subject.making.delta
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
    norm, epsilon = subject.making.recipe.build().bound() or ("", 1.0)
    if subject.wanted.finished and norm == "linf" and 255 * epsilon < 1 - 1e-3:
        notes.append((COARSE, {"levels": f"{255 * epsilon:.3g}"}))
    return tuple(notes)
