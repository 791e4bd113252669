"""Chapter 4: the gradient as a picture, how far its straight line holds, and a step along its sign."""

from __future__ import annotations

import streamlit as st

from app import service
from app.lessons.tour import gradient_panels as shown
from components.display import image_views
from components.display.probability_bars import percent
from components.i18n.text import named, say
from components.lesson import layout
from components.lesson.layout import Prose
from components.lesson.questions import RightAnswer
from components.lesson.session_cache import kept
from components.widgets import image_picker
from components.widgets.image_picker import Subject
from engine.run import Floats
from engine.work import only_answer
from experiments.evans2016 import article
from experiments.methods import first_order
from experiments.methods.first_order import Following, Line, Slope

BETS = ((1, 1, 1, 1, 1), (-1, -1, 1, 1, 1), (0, 0, 0, 0, 1))
"""The steps of the question, for the article's five numbers."""


def render() -> None:
    """Draw the chapter."""
    with layout.page("gradient", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            index = shown.gradient_class_picker(service.engine(), playing)
            at, lines = _slope(playing, index)
            left, right = st.columns(2, gap="medium")
            with left, image_views.row("gradient"):
                _seen(playing, at)
                shown.gradient(at)
            with right:
                shown.lines(lines, playing.card.labels[index])
        with layout.part():
            st.markdown(prose("example"))
            shown.example()
        with layout.part():
            size = _step(playing, at, prose)
        with layout.part():
            st.markdown(prose("puzzle"))
            shown.puzzle(at, _tries(playing, at, size), size)
        with layout.part():
            st.markdown(prose("logs"))
            shown.logs(at.probability)
        layout.source("Evans 2016, Goodfellow et al. 2014", article.URL)


def answer() -> RightAnswer:
    """Return which of `BETS` is worth most along the article's gradient."""
    worth = [first_order.product(step, first_order.EXAMPLE_GRADIENT) for step in BETS]
    names = ("first", "second", "third")
    facts = {name: f"{value:.2f}".lstrip("0") for name, value in zip(names, worth, strict=True)}
    return RightAnswer(worth.index(max(worth)), facts)


def _slope(playing: Subject, index: int) -> tuple[Slope, dict[str, Line]]:
    """Return the gradient of the class's probability and its lines; kept while the cast stays."""

    def follow() -> tuple[Slope, dict[str, Line]]:
        work = Following(playing.model, image_views.see(service.engine(), playing), index)
        with st.spinner(say("Following the straight line…")):
            return only_answer(service.engine(), work)

    return kept(("gradient", playing, index), follow)


def _seen(playing: Subject, at: Slope) -> None:
    words = say("{label}: {share}", label=named(playing.card.labels[at.index]), share=percent(at.probability))
    image_views.seen(service.engine(), playing, words, image_picker.credit(playing.image))


def _step(playing: Subject, at: Slope, prose: Prose) -> float:
    """Let the reader take a step along the sign of the gradient, or against it; return its size in grey
    levels."""
    st.markdown(prose("step"))
    size, sign = shown.step_controls()
    if st.button(say("Take the step"), type="primary", key="gradient.press"):
        st.session_state.gradient_taken = (*playing, at.index)
    if st.session_state.get("gradient_taken") == (*playing, at.index):
        x, tried = image_views.see(service.engine(), playing), _tries(playing, at, size)
        shown.taken(x, playing.card, at, tried, sign * size)
    return size


def _tries(playing: Subject, at: Slope, size: float) -> dict[float, Floats]:
    """Return what the network says after the step, after its opposite, and after one by chance."""
    return kept(("tries", playing, at.index, size), lambda: shown.tries(service.engine(), playing, at, size))
