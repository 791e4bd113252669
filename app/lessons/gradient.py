"""Chapter 4: the gradient as a picture, how far its straight line holds, and a step along its sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.subject import wake

if TYPE_CHECKING:
    from torch import Tensor

    from components.cast import Cast
    from experiments.first_order import Slope

LAB, ORDER = "Tour", 40


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import cast, lesson, views
    from components import gradient as shown
    from experiments import vulture

    with lesson.page("gradient") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            index = shown.class_picker(service.engine(), playing)
            at, lines = _slope(playing, index)
            left, right = st.columns(2, gap="medium")
            with left, views.row("gradient"):
                _seen(playing, at)
                shown.gradient(at)
            with right:
                shown.lines(lines, playing.card.labels[index])
        with lesson.part():
            st.markdown(said["example"])
            shown.example()
        with lesson.part():
            size = _step(playing, at, said)
        with lesson.part():
            st.markdown(said["puzzle"])
            shown.puzzle(at, _tries(playing, at, size), size)
        with lesson.part():
            st.markdown(said["logs"])
            shown.logs(at.probability)
        lesson.source("Evans 2016, Goodfellow et al. 2014", vulture.URL)


def _slope(playing: Cast, index: int) -> tuple[Slope, Any]:
    """Return the gradient of the class's probability and its lines; kept while the cast stays."""
    from functools import partial

    from app import service
    from components import views
    from components.kept import kept
    from components.text import say
    from experiments import first_order

    def follow() -> tuple[Slope, Any]:
        ask, x = partial(service.engine().inquire, playing.model), views.see(service.engine(), playing)
        with st.spinner(say("Following the straight line…")):
            at = first_order.slope(ask, x, index)
            return at, first_order.lines(ask, x, at)

    return kept(("gradient", playing, index), follow)


def _seen(playing: Cast, at: Slope) -> None:
    from app import service
    from components import cast, views
    from components.odds import percent
    from components.text import named, say

    told = say("{label}: {share}", label=named(playing.card.labels[at.index]), share=percent(at.probability))
    views.seen(service.engine(), playing, told, cast.credit(playing.image))


def _step(playing: Cast, at: Slope, said: dict[str, str]) -> float:
    """Let the reader take a step along the sign of the gradient, or against it; return its size in grey
    levels."""
    from app import service
    from components import gradient as shown
    from components import views
    from components.text import say

    st.markdown(said["step"])
    size, sign = shown.step_controls()
    if st.button(say("Take the step"), type="primary", key="gradient.press"):
        st.session_state["gradient.taken"] = (*playing, at.index)
    if st.session_state.get("gradient.taken") == (*playing, at.index):
        x, tried = views.see(service.engine(), playing), _tries(playing, at, size)
        shown.taken(x, playing.card, at, tried, sign * size)
    return size


def _tries(playing: Cast, at: Slope, size: float) -> dict[float, Tensor]:
    """Return what the network says after the step, after its opposite, and after one by chance."""
    from app import service
    from components import gradient as shown
    from components.kept import kept

    return kept(("tries", playing, at.index, size), lambda: shown.tries(service.engine(), playing, at, size))
