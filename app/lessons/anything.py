"""Chapter 7: anything into anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.access import base
from app.subject import wake

if TYPE_CHECKING:
    from components.cast import Cast
    from models.core import Card

LAB, ORDER = "Tour", 70
OWN = "own"
PAIRS = {
    "cat": ("cat", ("bath towel", "umbrella")),
    "coffee": ("coffee", ("cocktail shaker", "elephant")),
    "motorcycle": ("motorcycle", ("ostrich", "ostrich or emu")),
}
"""A picture and what to make of it: the first of these labels that the network knows."""
STEP = 0.25 / 255


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import cast, lesson

    with lesson.page("anything", digits=False) as said:
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

    card = playing.card
    names = {key: f"{cast.picture_title(key)} → {_known(card, key)}" for key in PAIRS} | {OWN: own}
    chosen = st.segmented_control(
        say("From what to what"),
        list(names),
        format_func=names.__getitem__,
        default="cat",
        required=True,
        key="anything.pair",
    )
    if chosen in PAIRS:
        return playing._replace(image=PAIRS[str(chosen)][0]), _known(card, str(chosen))
    first = service.engine().classify(playing.model, playing.image)[0].label
    labels = sorted((label for label in card.labels if label != first), key=str.lower)
    return playing, str(st.selectbox(say("Make it say"), labels, key=f"anything.{card.name}"))


def _known(card: Card, pair: str) -> str:
    return next((label for label in PAIRS[pair][1] if label in card.labels), card.labels[-1])


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
