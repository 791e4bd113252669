"""“What the change is made of”: frequencies, places, grey levels; and which part of it fools."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from app.inside.looking import Line, Look, as_address
from components.i18n.text import named
from engine.inside.asking import UNCHANGED
from engine.inside.classes import fools
from engine.inside.composition import (
    HIGHEST,
    ChangeMaps,
    Composition,
    Filtered,
    Filters,
    MadeOf,
    Survivors,
    band,
    places_image,
    spectrum_image,
)
from engine.render import perturbation, suggest_gain
from errors import BadSetting

PART, FILTER = "made_of", "filter"


def lines(look: Look) -> Iterator[Line]:
    """Yield what the perturbation is made of, then what the network says of parts of it.

    ``?seed=`` of the noise that it is compared with.
    """
    start, delta, seed = look.start(), look.change(), look.whole("seed", 0)
    composition, maps = made_of(look, seed)
    yield {"type": "composition"} | asdict(composition) | _pictures(maps)
    for filtered in look.ask(Filters(start, delta, look.run.original), "bands"):
        yield _filtered(look, filtered)
    for largest in look.ask(Survivors(start, delta, look.run.original), "largest"):
        yield {"type": "largest"} | asdict(largest) | _verdict(look, largest.label)


def settings(seed: int) -> tuple[str, int]:
    """Return the settings under which `made_of` is remembered."""
    return "composition", seed


def made_of(look: Look, seed: int) -> tuple[Composition, ChangeMaps]:
    """Return what the perturbation at the step is made of, remembered; ``seed``: of the noise."""
    composition, maps = look.ask(MadeOf(look.change(), seed), *settings(seed))
    assert isinstance(composition, Composition) and isinstance(maps, ChangeMaps)
    return composition, maps


def _pictures(maps: ChangeMaps) -> Line:
    return {
        "spectrum": as_address(spectrum_image(maps.power)),
        "noise_spectrum": as_address(spectrum_image(maps.noise, float(maps.power.max()))),
        "places": as_address(places_image(maps.sizes)),
    }


def filtered(look: Look) -> Iterator[Line]:
    """Yield what the network says of one band, and how that band looks. ``?low=``, ``?high=``: its radii."""
    low, high = look.number("low", 0.0), look.number("high", HIGHEST)
    delta = look.change()
    if not delta.any():
        raise BadSetting(UNCHANGED)
    part = band(delta, low, high)
    question = Filters(look.start(), delta, look.run.original, ((low, high),))
    for answer in look.ask(question, low, high):
        gain = suggest_gain(part)
        shown = as_address(perturbation(part, gain))
        yield _filtered(look, answer) | {"picture": shown, "gain": gain}


def _filtered(look: Look, answer: Filtered) -> Line:
    return {"type": "filtered"} | asdict(answer) | _verdict(look, answer.label)


def _verdict(look: Look, label: int) -> Line:
    return {"label": named(look.run.labels[label], look.language), "fooled": fools(look.run, label)}
