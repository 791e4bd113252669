"""“To people”: how alike the two pictures are, and what the same attack has to do to a robust network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

import models
from app.inside.looking import Line, Look, as_address, fools, picture_of
from components.i18n.text import named, say_in
from engine.inside.composition import power, shares
from engine.inside.similarity import structural_similarity
from engine.render import perturbation, suggest_gain, to_image
from engine.run import Run
from errors import BadSetting

PART, TWIN = "people", "twin"


def lines(look: Look) -> Iterator[Line]:
    """Yield how alike the picture and its adversarial are, and the name of the network's twin, if any."""
    twin = models.card(look.run.recipe.model).twin
    yield {
        "type": "similarity",
        "ssim": structural_similarity(look.run.start.float(), look.picture()),
        "twin": say_in(look.language, models.card(twin).title) if twin else None,
    }


def twin(look: Look) -> Iterator[Line]:
    """Carry out the run's recipe on the network's twin; yield where it stands, then both perturbations."""
    name = models.card(look.run.recipe.model).twin
    if not name:
        raise BadSetting("Expected a network that has a twin, got one that has none.")
    person = f"twin of {look.run.id}"  # one at a time for each run
    other = look.engine.enqueue(replace(look.run.recipe, model=name), person, most=1)
    try:
        for step in look.engine.follow(other):
            yield {"type": "twin_step", "step": step, "of": other.total}
    finally:
        if not other.over:
            look.engine.cancel(other)
    own = look.change()
    theirs = picture_of(other, len(other) - 1) - other.start.float()
    gain = min(suggest_gain(delta.numpy()) for delta in (own, theirs))
    yield {"type": "twin", "gain": gain, "own": _shown(look, look.run, look.step, own, gain)} | {
        "twin": _shown(look, other, len(other) - 1, theirs, gain)
    }


def _shown(look: Look, run: Run, step: int, delta: Tensor, gain: int) -> Line:
    best = run.top(step, 1)[0]
    low, *_ = shares(power(delta)) if bool(delta.any()) else (0.0,)
    return {
        "title": say_in(look.language, models.card(run.recipe.model).title),
        "perturbation": as_address(perturbation(delta.numpy(), gain)),
        "picture": as_address(to_image(run.picture(step))),
        "before": named(run.labels[run.original], look.language),
        "label": named(best.label, look.language),
        "probability": best.probability,
        "fooled": fools(run, best.index),
        "steps": step,
        "length": float(delta.norm()),
        "largest": float(delta.abs().max()),
        "low": low,
        "ssim": structural_similarity(run.start.float(), run.start.float() + delta),
    }
