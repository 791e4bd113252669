"""Chapter 7: anything into anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.access import base
from app.subject import wake

if TYPE_CHECKING:
    from components.cast import Cast

LAB, ORDER = "Tour", 70
OWN = "own"
FIRST = "cat"
PHOTOS = {"ashcan": ("cocktail shaker", "cup")}
"""The same by what a photo of the data folder shows: the article's trash can, where there is one."""


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import cast, lesson

    with lesson.page("anything") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            playing, target, ready = _choose(playing, said["own"])
            _go(playing, target, said["go"], ready)
        with lesson.aside():
            st.markdown(said["after"])


def _choose(playing: Cast, own: str) -> tuple[Cast, str, str]:
    """Let the reader choose a pair, or the tour's own picture and any class; return picture, target and the
    name of the run that ships and stands there meanwhile."""
    from app import service
    from components import cast, classes
    from components.shipped import PAIRS
    from components.text import named, say

    card, pairs = playing.card, _pairs()
    targets = {
        key: next((t for t in ts if t in card.labels), card.labels[-1]) for key, (_, ts) in pairs.items()
    }
    names = {key: f"{cast.picture_title(pairs[key][0])} → {named(target)}" for key, target in targets.items()}
    chosen = st.segmented_control(
        say("From what to what"),
        [*names, OWN],
        format_func=(names | {OWN: own}).__getitem__,
        default=FIRST,
        required=True,
        key="anything.pair",
    )
    if chosen in pairs:
        ready = str(chosen) if chosen in PAIRS else FIRST
        return playing._replace(image=pairs[str(chosen)][0]), targets[str(chosen)], f"pair-{ready}"
    first = service.engine().classify(playing.model, playing.image)[0].label
    wished = classes.listed(card.labels, first)[0][0]
    target = classes.picker(say("Make it say"), card.labels, first, wished, f"anything.{card.name}")
    return playing, target, f"pair-{FIRST}"


def _pairs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the pairs that can be shown here: of samples, and of photos where there are any."""
    from components.shipped import PAIRS
    from experiments.photographs import photographs

    found = ((name, photo.shows) for name, photo in photographs().items())
    return {**PAIRS} | {shows: (f"photo:{name}", PHOTOS[shows]) for name, shows in found if shows in PHOTOS}


def _go(playing: Cast, target: str, words: str, ready: str) -> None:
    """Let the reader start the run and watch it; until then the one that ships as ``ready`` stands there."""
    from app import service
    from components import lesson, shipped
    from components.stage import stage
    from components.text import named, say

    engine = service.engine()
    first = engine.classify(playing.model, playing.image)[0].label
    recipe = shipped.pair(playing.model, playing.image, playing.card.label_index(target))
    words = words.format(label=named(first), target=named(target))
    run = stage(engine, base(), recipe, words, "anything", ready)
    if run is not None:
        st.markdown(f"[{say('Go on with it in the playground')}]({lesson.address(run.recipe, run=run.id)})")
