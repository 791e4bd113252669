"""“The neighbourhood”: a plane through the picture, its adversarial and a third point, coloured by class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

import attacks
import models
from app.inside.looking import Line, Look, picture_of
from app.inside.shelf import MOST_RUNS, RUN
from components.i18n.text import named, say_in
from engine.images.sources import samples
from engine.inside.plane import LEVELS, Asked, Axes, Finished, Plane, axes
from engine.robustness.transfer import here
from engine.run import Floats, Run
from errors import BadSetting, UnknownName
from models.core import Card

PART, CHOICES = "plane", "plane_choices"
THIRDS = ("random", "signs")
"""Third points that need no name: normal noise, and noise of one size whose signs are random."""
IMAGE = "image:"
"""What the names of pictures begin with; those of runs begin with `app.inside.shelf.RUN`."""
FARTHEST = 1e5
"""The largest coordinate, in l2."""


@dataclass(frozen=True)
class Window:
    """A square of the plane: its middle (``x``, ``y``) and ``half`` of its side, in l2."""

    x: float
    y: float
    half: float


def lines(look: Look) -> Iterator[Line]:
    """Yield where the three points are, then what the networks say, from coarse to fine.

    ``?third=``: one of `THIRDS`, ``image:NAME`` or ``run:ID``; ``?seed=`` of the random ones; ``?x=``,
    ``?y=`` and ``?half=`` of the window in l2, by default one with the picture and its adversarial;
    ``?cells=`` in a row; ``?second=``: a network that is asked too.
    """
    plane = axes(look.start(), look.picture(), third_point(look))
    window, cells = _window(look, plane), look.whole("cells", 64)
    if cells not in LEVELS:
        raise BadSetting(
            "Expected {names} cells in a row, got {cells}.", names=", ".join(map(str, LEVELS)), cells=cells
        )
    cards = _networks(look)
    yield _plan(look, plane, window, cards)
    yield from _levels(look, plane, window, cards, cells)


def _levels(look: Look, plane: Axes, window: Window, cards: list[Card], cells: int) -> Iterator[Line]:
    """Yield what each network says, level by level, so that each level is remembered."""
    known: list[list[Asked]] = [[] for _ in cards]
    shown: list[set[int]] = [set() for _ in cards]
    for level in (level for level in LEVELS if level <= cells):
        for index, card in enumerate(cards):
            question = Plane(plane, (window.x, window.y), window.half, level, tuple(known[index]))
            asked = look.ask(question, *_settings(look, window), card.name, level, model=card.name)
            for answer in asked:
                if isinstance(answer, Asked):
                    known[index].append(answer)
                    yield from _classes(look, index, card, answer, shown[index])
                    yield _asked(index, answer)
                elif answer.cells == level:
                    yield _finished(index, answer)


def third_point(look: Look) -> Floats:
    """Return the third point ``(c, h, w)``, which may lie outside [0, 1]; raises `errors.FoolscopeError`."""
    wanted, start = look.query.get("third", THIRDS[0]), look.start()
    noise = np.random.default_rng(look.whole("seed", 0)).standard_normal(start.shape, np.float32)
    if wanted == "random":
        return start + noise
    if wanted == "signs":
        return start + np.sign(noise)
    if wanted.startswith(IMAGE) and wanted.removeprefix(IMAGE) in samples():
        other = replace(look.run.recipe, image=wanted.removeprefix(IMAGE), crop=None)
        return look.engine.preprocess(other)
    if wanted.startswith(RUN):
        return _end_of(look, look.engine.run(wanted.removeprefix(RUN)))
    raise UnknownName.of("third point", wanted[:80], [*THIRDS, *(IMAGE + name for name in samples())])


def _end_of(look: Look, other: Run) -> Floats:
    alike = other.start.shape == look.run.start.shape
    if not alike or not np.allclose(other.start, look.run.start, atol=1e-3):
        raise BadSetting("Expected a run that began with the same picture, got one that began with another.")
    if other.id == look.run.id or not len(other):
        raise BadSetting("Expected another run that has begun, got this one or one without a step.")
    return picture_of(other, len(other) - 1)


def _window(look: Look, plane: Axes) -> Window:
    distance, _ = plane.adversarial
    x, y = look.number("x", distance / 2), look.number("y", 0.0)
    half = look.number("half", 1.5 * distance)
    if not 0 < half < FARTHEST or max(abs(x), abs(y)) > FARTHEST:
        raise BadSetting("Expected a window of a size above 0 and up to 100000 in l2.")
    return Window(x, y, half)


def _networks(look: Look) -> list[Card]:
    """Return the run's network, and the second one if one is wanted."""
    own, second = models.card(look.run.recipe.model), look.query.get("second", "")
    if not second:
        return [own]
    other = models.card(second)
    if other.channels != own.channels:
        raise BadSetting(
            "Expected a network that takes pictures of {count} channels, got one of {got}.",
            count=own.channels,
            got=other.channels,
        )
    return [own, other]


def _settings(look: Look, window: Window) -> tuple[str | int | float, ...]:
    query = look.query
    return query.get("third", THIRDS[0]), query.get("seed", "0"), window.x, window.y, window.half


def _plan(look: Look, plane: Axes, window: Window, cards: list[Card]) -> Line:
    size = models.card(look.run.recipe.model).size
    return {
        "type": "plane",
        "step": look.run.picture_step(look.step),
        "adversarial": plane.adversarial,
        "third": plane.third,
        "window": [window.x, window.y, window.half],
        "original": named(look.run.labels[look.run.original], look.language),
        "networks": [
            {"name": card.name, "title": say_in(look.language, card.title), "resized": card.size != size}
            for card in cards
        ],
    }


def _classes(look: Look, network: int, card: Card, answer: Asked, shown: set[int]) -> Iterator[Line]:
    for label in sorted(set(answer.labels) - shown):
        shown.add(label)
        text = card.labels[label]
        spoken = named(text, look.language)
        yield {"type": "class", "network": network, "index": label, "text": text, "label": spoken}


def _asked(network: int, answer: Asked) -> Line:
    return {
        "type": "asked",
        "network": network,
        "cells": answer.cells,
        "at": answer.at,
        "labels": answer.labels,
        "probabilities": [round(p, 4) for p in answer.probabilities],
        "clipped": [round(share, 4) for share in answer.clipped],
    }


def _finished(network: int, answer: Finished) -> Line:
    counts = {"cells": answer.cells, "asked": answer.asked, "filled": answer.filled}
    return {"type": "level", "network": network} | counts


def choices(look: Look) -> Iterator[Line]:
    """Yield what may be the third point, and which networks may be asked too."""
    own = models.card(look.run.recipe.model)
    pictures = [
        {"name": IMAGE + sample.name, "title": say_in(look.language, sample.label)}
        for sample in samples().values()
        if sample.channels == own.channels and sample.name != look.run.recipe.image
    ]
    networks = [models.card(name) for name in here(own) if name != own.name]
    yield {
        "type": "choices",
        "pictures": pictures,
        "runs": [*_own_runs(look)],
        "networks": [{"name": card.name, "title": say_in(look.language, card.title)} for card in networks],
    }


def _own_runs(look: Look) -> Iterator[Line]:
    """Yield the visitor's other runs on the same network that began with the same picture."""
    recipe = look.run.recipe
    mine = (recipe.model, recipe.image, recipe.crop)
    for record in look.engine.own_runs(look.owner, MOST_RUNS) if look.owner else []:
        alike = (record.recipe.model, record.recipe.image, record.recipe.crop) == mine
        if alike and record.id != look.run.id and record.opens:
            title = named(record.last_label or record.first_label, look.language)
            attack = attacks.get(record.recipe.attack).card.title
            yield {"name": RUN + record.id, "title": title, "attack": attack}
