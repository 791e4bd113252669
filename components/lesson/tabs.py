"""A chapter on one screen: what is told at the left, its parts as tabs at the right, the way on below."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import address
from components.i18n import preferences
from components.i18n.text import say


class Screen(NamedTuple):
    """Where a chapter is drawn. ``told``: the column of its story; ``tabs``: the parts not drawn yet;
    ``titles``: all of them; ``key``: under which the open tab's title is kept."""

    told: DeltaGenerator
    tabs: Iterator[DeltaGenerator]
    titles: Sequence[str]
    key: str


class Pressed(NamedTuple):
    """The last press of the way on: ``key`` as in `Screen`, the parts before and after it, and since when the
    page may know of it."""

    key: str
    before: str
    title: str
    since: float = math.inf


PRESSED = "part.pressed"
STALE = 2.0
"""Seconds since the page may know of a press in which a message may come that was on its way before."""
_screen: ContextVar[Screen | None] = ContextVar("screen", default=None)


def lay(name: str, titles: Sequence[str]) -> Screen | None:
    """Lay out the chapter ``name`` whose parts have ``titles``, and return it; None, and nothing is laid
    out, where there are no titles or the reader presents."""
    screen = None
    if titles and not preferences.presenting():
        key = f"part.{name}.{preferences.language()}"
        if key not in st.session_state or address.returned():
            st.session_state[key] = titles[_asked(len(titles)) - 1]
            st.session_state.pop(PRESSED, None)
        _stay(key)
        told, shown = st.columns([5, 14], gap="large")
        with shown, st.container(key="screen"):
            tabs = st.tabs(list(titles), key=key, on_change="rerun") if titles[1:] else [st.container()]
        screen = Screen(told, iter(tabs), titles, key)
        _keep(screen)
    _screen.set(screen)
    return screen


def here() -> Screen | None:
    """Return the chapter that is being drawn, None where the page is no such chapter."""
    return _screen.get()


def onward(screen: Screen) -> bool:
    """Show a button that opens the next part, and return True; False when the last one is open."""
    at = _at(screen)
    if at == len(screen.titles):
        return False
    following = screen.titles[at]
    words, icon = say("Next: {part}", part=following), ":material/arrow_forward:"
    st.button(words, icon=icon, key="part.onward", on_click=_open, args=(screen.key, following))
    return True


def _open(key: str, title: str) -> None:
    st.session_state[PRESSED] = Pressed(key, st.session_state[key], title)
    st.session_state[key] = title


def _stay(key: str) -> None:
    """Stay with the part that was just opened where the page, which had something else to tell at that
    moment, such as the end of a run, sent along that the part before is open."""
    pressed: Pressed | None = st.session_state.get(PRESSED)
    if pressed is None or pressed.key != key:
        return
    now = time.monotonic()
    since = min(pressed.since, now)
    st.session_state[PRESSED] = pressed._replace(since=since)
    if pressed.before == st.session_state[key] and now - since < STALE:
        st.session_state[key] = pressed.title


def _at(screen: Screen) -> int:
    """Return the number of the open part, from 1."""
    return list(screen.titles).index(st.session_state[screen.key]) + 1


def _asked(count: int) -> int:
    """Return which part the address asks for, from 1 to ``count``."""
    asked = st.query_params.get("part", "1")
    return min(max(int(asked), 1), count) if asked.isdecimal() else 1


def _keep(screen: Screen) -> None:
    """Write the open part into the address; the first one goes without saying."""
    at = _at(screen)
    if at > 1:
        st.query_params["part"] = str(at)
    else:
        st.query_params.pop("part", None)
