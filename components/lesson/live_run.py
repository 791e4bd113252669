"""A run inside a lesson: a button that starts it, and the live view that follows it."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

import models
from components.i18n import preferences
from components.i18n.text import named, say, told
from components.lesson import slides, tabs
from components.live.player import player
from components.owner import owner
from components.take_home.panel import panel
from components.widgets.image_picker import picture_title
from engine.base import EngineBase
from engine.recipe import Recipe
from engine.run import Run
from engine.saved import run_id
from errors import FoolscopeError, UnknownName


def stage(
    engine: EngineBase, base: str, recipe: Recipe, words: str, key: str, shipped: str = ""
) -> Run | None:
    """Show a button that says ``words`` and starts ``recipe``, and the run that this visitor started with it,
    else the one that ships under the name ``shipped``; return it, or None. A run of another recipe gives way.
    ``base``: the path of the run routes.
    """
    ready(engine, recipe, words, key)
    return follow(engine, base, recipe, key, shipped=shipped)


def ready(engine: EngineBase, recipe: Recipe, words: str, key: str) -> None:
    """Show a button that says ``words`` and starts ``recipe``, which `follow` shows."""
    icon, shortcut = ":material/play_arrow:", slides.enter()
    if st.button(words, type="primary", key=f"stage.{key}.press", icon=icon, shortcut=shortcut):
        begin(engine, recipe, key)


def follow(
    engine: EngineBase, base: str, recipe: Recipe, key: str, *, beside: bool = False, shipped: str = ""
) -> Run | None:
    """Show and return the run of ``recipe`` that was begun under ``key``, else the one that ships under the
    name ``shipped``, marked so; None where there is neither. ``beside``: it is one of several on the page."""
    run = begun(engine, recipe, key)
    if run is None and shipped:
        run = engine.run(run_id(shipped))
        if not beside:
            st.caption(origin(run.recipe))
    if run is None:
        return None
    place = f"stage.{key}"
    with st.container(key=f"view_{place.replace('.', '_')}"):
        slide = preferences.presenting()
        narrow = tabs.here() is not None or (slide and beside)
        kind = {"present": slide and not beside, "beside": beside, "compact": narrow}
        player(base=base, run=run.id, idle=None, key=f"{place}.player", **kind)
        if not slide and not beside:
            panel(engine, base, run, place, folded=narrow)
    return run


def origin(recipe: Recipe) -> str:
    """Return in a sentence that a run of ``recipe`` ships with the program, and of what it is."""
    facts = {"picture": picture_title(recipe.image), "seed": recipe.seed}
    if recipe.target is None:
        return say("Ships with the program: {picture}, seed {seed}.", **facts)
    card = models.card(recipe.model)
    words = "Ships with the program: {picture} → {target}, {network}, seed {seed}."
    return say(words, target=named(card.labels[recipe.target]), network=card.title, **facts)


def begun(engine: EngineBase, recipe: Recipe, key: str) -> Run | None:
    """Return the run of ``recipe`` that this visitor began under ``key``, None where the server has none."""
    before, run = st.session_state.get(f"stage.{key}", ("", ""))
    if not run or before != recipe.key():
        return None
    try:
        return engine.run(run)
    except UnknownName:  # the server forgets old runs
        del st.session_state[f"stage.{key}"]
        return None


def begin(engine: EngineBase, recipe: Recipe, key: str) -> None:
    """Start ``recipe`` and remember it under ``key``; what was started there before is cancelled."""
    place = f"stage.{key}"
    _, old = st.session_state.pop(place, ("", ""))
    try:
        if old:
            engine.cancel(engine.run(old))
    except UnknownName:
        pass  # it was forgotten: there is nothing to cancel
    try:
        st.session_state[place] = (recipe.key(), engine.submit(recipe, owner=owner()).id)
    except FoolscopeError as error:
        st.error(told(error))


def stretches(run: Run) -> list[tuple[str, int, int]]:
    """Return what the network named on the way: each class with the first and the last step it held."""
    steps = [(run.top(index)[0].label, index) for index in range(len(run))]
    groups = [(label, [index for _, index in group]) for label, group in groupby(steps, lambda s: s[0])]
    return [(label, indices[0], indices[-1]) for label, indices in groups]
