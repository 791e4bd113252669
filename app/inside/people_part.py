"""“To people”: how alike the two pictures are, and what the same attack has to do to a robust network."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import models
from app.inside.looking import Line, Look, as_address
from components.i18n.text import named, say_in
from engine.inside.computed import COMPUTED, Key
from engine.inside.people import Perturbed, Similarity, perturbed
from engine.inside.similarity import structural_similarity
from engine.render import perturbation, suggest_gain, to_image
from engine.run import Run
from errors import BadSetting

PART, TWIN = "people", "twin"


def lines(look: Look) -> Iterator[Line]:
    """Yield how alike the picture and its adversarial are, and the name of the network's twin, if any."""
    twin = models.card(look.run.recipe.model).twin
    before, after = look.start(), look.picture()
    key = Key(look.run.id, PART, look.step)
    (alike,) = COMPUTED.ask_nobody(key, lambda: iter([Similarity(structural_similarity(before, after))]))
    yield {
        "type": "similarity",
        "ssim": alike.ssim,
        "twin": say_in(look.language, models.card(twin).title) if twin else None,
    }


def twin(look: Look) -> Iterator[Line]:
    """Carry out the run's recipe on the network's twin, unless that is remembered; yield where it stands,
    then both perturbations."""
    name = models.card(look.run.recipe.model).twin
    if not name:
        raise BadSetting("Expected a network that has a twin, got one that has none.")
    key = Key(look.run.id, TWIN, look.step, (name,))
    known = COMPUTED.known(key)
    if known is None:
        other = yield from _attacked(look, name)
        both = (perturbed(look.run, look.step), perturbed(other, len(other) - 1))
        known = COMPUTED.ask_nobody(key, lambda: iter(both))
    own, theirs = known
    gain = min(suggest_gain(one.perturbation) for one in (own, theirs))
    yield {"type": "twin", "gain": gain, "own": _shown(look, own, gain), "twin": _shown(look, theirs, gain)}


def _attacked(look: Look, name: str) -> Generator[Line, None, Run]:
    """Yield the steps of the run's recipe on the network ``name``; return that run, which is over."""
    person = f"twin of {look.run.id}"  # one at a time for each run
    other = look.engine.enqueue(replace(look.run.recipe, model=name), person, most=1)
    try:
        for step in look.engine.follow(other):
            yield {"type": "twin_step", "step": step, "of": other.total}
    finally:
        if not other.over:
            look.engine.cancel(other)
    return other


def _shown(look: Look, one: Perturbed, gain: int) -> Line:
    labels = look.run.labels
    return {
        "title": say_in(look.language, models.card(one.network).title),
        "perturbation": as_address(perturbation(one.perturbation, gain)),
        "picture": as_address(to_image(one.picture)),
        "before": named(labels[one.original], look.language),
        "label": named(labels[one.label], look.language),
        "probability": one.probability,
        "fooled": one.fooled,
        "steps": one.step,
        "length": one.length,
        "largest": one.largest,
        "low": one.low,
        "ssim": one.ssim,
    }
