"""A run inside a lesson: a button that starts it, and the live view that follows it."""

from __future__ import annotations

from itertools import groupby

import streamlit as st

from components import deck, reader, screen
from components.player import player
from components.text import told
from engine.engine import Engine
from engine.recipe import Recipe
from engine.run import Run
from errors import FoolscopeError, UnknownName


def stage(engine: Engine, base: str, recipe: Recipe, words: str, key: str) -> Run | None:
    """Show a button that says ``words`` and starts ``recipe``, and the run that this visitor started with it;
    return that run, or None. A run of another recipe gives way. ``base``: the path of the run routes.
    """
    ready(engine, recipe, words, key)
    return follow(engine, base, recipe, key)


def ready(engine: Engine, recipe: Recipe, words: str, key: str) -> None:
    """Show a button that says ``words`` and starts ``recipe``, which `follow` shows."""
    icon, shortcut = ":material/play_arrow:", deck.enter()
    if st.button(words, type="primary", key=f"stage.{key}.press", icon=icon, shortcut=shortcut):
        begin(engine, recipe, key)


def follow(engine: Engine, base: str, recipe: Recipe, key: str, *, beside: bool = False) -> Run | None:
    """Show and return the run of ``recipe`` that was begun under ``key``; None where there is none.
    ``beside``: it is one of several on the page."""
    kept = f"stage.{key}"
    before, run = st.session_state.get(kept, ("", ""))
    if not run or before != recipe.key():
        return None
    try:
        found = engine.run(run)
    except UnknownName:  # the server forgets old runs
        del st.session_state[kept]
        return None
    with st.container(key=f"view_{kept.replace('.', '_')}"):
        slide = reader.presenting()
        narrow = screen.here() is not None or (slide and beside)
        kind = {"present": slide and not beside, "beside": beside, "compact": narrow}
        player(base=base, run=run, idle=None, key=f"{kept}.player", **kind)
    return found


def begin(engine: Engine, recipe: Recipe, key: str) -> None:
    """Start ``recipe`` and remember it under ``key``; what was started there before is cancelled."""
    kept = f"stage.{key}"
    _, old = st.session_state.pop(kept, ("", ""))
    try:
        if old:
            engine.cancel(engine.run(old))
    except UnknownName:
        pass  # it was forgotten: there is nothing to cancel
    try:
        st.session_state[kept] = (recipe.key(), engine.submit(recipe).id)
    except FoolscopeError as error:
        st.error(told(error))


def named(run: Run) -> list[tuple[str, int, int]]:
    """Return what the network named on the way: each class with the first and the last step it held."""
    steps = [(run.top(index)[0].label, index) for index in range(len(run))]
    stretches = [(label, [index for _, index in group]) for label, group in groupby(steps, lambda s: s[0])]
    return [(label, indices[0], indices[-1]) for label, indices in stretches]
