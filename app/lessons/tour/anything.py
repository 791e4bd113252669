"""Chapter 7: anything into anything."""

from __future__ import annotations

import streamlit as st

from app import service, shipped_recipes
from app.access import base
from app.shipped_recipes import PAIRS
from components.i18n.text import named, say
from components.lesson import layout
from components.lesson.live_run import stage
from components.lesson.questions import RightAnswer
from components.widgets import class_picker, image_picker
from components.widgets.image_picker import Subject
from engine import saved
from experiments.datasets.photos import photographs

OWN = "own"
FIRST = "cat"
PHOTOS = {"ashcan": ("cocktail shaker", "cup")}
"""The same by what a photo of the data folder shows: the article's trash can, where there is one."""


def render() -> None:
    """Draw the chapter."""
    with layout.page("anything", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            playing, target, ready = _choose(playing, prose("own"))
            _go(playing, target, prose("go"), ready)
        with layout.aside():
            st.markdown(prose("after"))


def answer() -> RightAnswer:
    """Return which of the runs that ship took most steps."""
    steps = {name: len(saved.read(f"pair-{name}")) - 1 for name in PAIRS}
    longest = max(steps, key=steps.__getitem__)
    return RightAnswer(list(PAIRS).index(longest), {name: str(count) for name, count in steps.items()})


def _choose(playing: Subject, own: str) -> tuple[Subject, str, str]:
    """Let the reader choose a pair, or the tour's own picture and any class; return picture, target and the
    name of the run that ships and stands there meanwhile."""
    card, pairs = playing.card, _pairs()
    targets = {
        key: next((t for t in ts if t in card.labels), card.labels[-1]) for key, (_, ts) in pairs.items()
    }
    names = {
        key: f"{image_picker.picture_title(pairs[key][0])} → {named(target)}"
        for key, target in targets.items()
    }
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
    wished = class_picker.listed(card.labels, first)[0][0]
    target = class_picker.picker(say("Make it say"), card.labels, first, wished, f"anything.{card.name}")
    return playing, target, f"pair-{FIRST}"


def _pairs() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the pairs that can be shown here: of samples, and of photos where there are any."""
    photos = ((name, photo.shows) for name, photo in photographs().items())
    return {**PAIRS} | {shows: (f"photo:{name}", PHOTOS[shows]) for name, shows in photos if shows in PHOTOS}


def _go(playing: Subject, target: str, words: str, ready: str) -> None:
    """Let the reader start the run and watch it; until then the one that ships as ``ready`` stands there."""
    engine = service.engine()
    first = engine.classify(playing.model, playing.image)[0].label
    recipe = shipped_recipes.pair(playing.model, playing.image, playing.card.label_index(target))
    words = words.format(label=named(first), target=named(target))
    run = stage(engine, base(), recipe, words, "anything", ready)
    if run is not None:
        st.markdown(f"[{say('Go on with it in the playground')}]({layout.address(run.recipe, run=run.id)})")
