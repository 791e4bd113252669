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
PAIRS: dict[str, tuple[str, tuple[str, ...]]] = {
    "cat": ("cat", ("bath towel", "umbrella")),
    "coffee": ("coffee", ("cocktail shaker", "elephant")),
    "motorcycle": ("motorcycle", ("ostrich", "ostrich or emu")),
}
"""A picture and what to make of it: the first of these labels that the network knows."""
PHOTOS = {"ashcan": ("cocktail shaker", "cup")}
"""The same by what a photo of the data folder shows: the article's trash can, where there is one."""
STEP = 0.25 / 255


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import cast, lesson

    with lesson.page("anything") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            playing, target = _choose(playing, said["own"])
            _go(playing, target, said["go"])
        with lesson.aside():
            st.markdown(said["after"])


def _choose(playing: Cast, own: str) -> tuple[Cast, str]:
    """Let the reader choose a pair, or the tour's own picture and any class."""
    from app import service
    from components import cast
    from components.text import say

    card, pairs = playing.card, _pairs()
    targets = {
        key: next((t for t in ts if t in card.labels), card.labels[-1]) for key, (_, ts) in pairs.items()
    }
    names = {key: f"{cast.picture_title(pairs[key][0])} → {target}" for key, target in targets.items()}
    chosen = st.segmented_control(
        say("From what to what"),
        [*names, OWN],
        format_func=(names | {OWN: own}).__getitem__,
        default="cat",
        required=True,
        key="anything.pair",
    )
    if chosen in pairs:
        return playing._replace(image=pairs[str(chosen)][0]), targets[str(chosen)]
    first = service.engine().classify(playing.model, playing.image)[0].label
    labels = sorted((label for label in card.labels if label != first), key=str.lower)
    return playing, str(st.selectbox(say("Make it say"), labels, key=f"anything.{card.name}"))


def _pairs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the pairs that can be shown here: of samples, and of photos where there are any."""
    from experiments.photographs import photographs

    found = ((name, photo.shows) for name, photo in photographs().items())
    return PAIRS | {shows: (f"photo:{name}", PHOTOS[shows]) for name, shows in found if shows in PHOTOS}


def _go(playing: Cast, target: str, words: str) -> None:
    """Let the reader start the run and watch it."""
    from app import service
    from attacks.core import Stop
    from components import lesson
    from components.stage import stage
    from components.text import say
    from engine.recipe import Recipe

    engine = service.engine()
    first = engine.classify(playing.model, playing.image)[0].label
    params = {"steps": 80, "step_size": STEP, "epsilon": 16 / 255}
    recipe = Recipe(
        playing.model,
        playing.image,
        "bim",
        params,
        playing.card.label_index(target),
        stop=Stop("probability", 0.95),
    )
    run = stage(engine, base(), recipe, words.format(label=first, target=target), "anything")
    if run is not None:
        st.markdown(f"[{say('Go on with it in the playground')}]({lesson.address(recipe, run=run.id)})")
