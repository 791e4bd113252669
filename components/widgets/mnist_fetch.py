"""An offer to fetch MNIST, beside what would compute on other digits without it."""

from __future__ import annotations

import streamlit as st

from components.i18n import preferences
from components.i18n.text import say, told
from components.lesson import slides
from errors import FoolscopeError
from experiments.datasets.digit_sets import forget
from experiments.datasets.mnist import FILES, fetch, place

MEGABYTE = 2**20
SIZE = sum(file.size for file in FILES) // MEGABYTE
FAILED = "mnist.failed"


def offer(words: str = "") -> None:
    """Show, where MNIST is not on this server, what is done without it and a button that fetches it: once
    in a part of a lesson, and not on a projector. ``words``: in place of what a computing button does.

    Who presses sees a bar; at its end the page is drawn anew, with MNIST.
    """
    if place() is not None or preferences.presenting() or not slides.first("mnist"):
        return
    key = f"mnist.{st.session_state.get('deck_parts', 0)}"
    room = st.empty()
    with room.container(horizontal=True, vertical_alignment="center", key=f"{key}.offer"):
        st.caption(
            words or say("Without MNIST this computes on scikit-learn's small digits."), width="content"
        )
        label = say("Fetch MNIST ({size} MB)", size=SIZE)
        pressed = st.button(label, type="tertiary", icon=":material/download:", key=f"{key}.fetch")
    if pressed:
        with room:
            _fetch(key)
    if st.session_state.get(FAILED, ("",))[0] == key:
        st.error(st.session_state[FAILED][1])


def _fetch(key: str) -> None:
    """Fetch MNIST with a bar, then draw the page anew, with one sentence if it failed."""
    st.session_state.pop(FAILED, None)
    bar, shown = st.progress(0.0, say("Starting…")), -1

    def show(done: int, total: int) -> None:
        nonlocal shown
        if (percent := min(100 * done // total, 100)) != shown:
            words = say("Fetching MNIST: {done} of {total} MB", done=done // MEGABYTE, total=SIZE)
            bar.progress(shown := percent, words)

    try:
        fetch(show)
        forget()
    except FoolscopeError as error:
        st.session_state[FAILED] = key, told(error)
    st.rerun()
