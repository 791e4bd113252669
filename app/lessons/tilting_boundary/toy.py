"""The toy problem: a boundary at an angle, mirror images, and one noisy label."""

from __future__ import annotations

import streamlit as st

from app.access import base
from app.lessons.tilting_boundary.toy_view import toy
from components.display import charts, comparison_table
from components.display.comparison_table import Cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.tanay2018.toy import Toy, ToyFigures, Trained

URL = "https://arxiv.org/abs/1806.11186"


def render() -> None:
    """Draw the lesson."""
    with layout.page("toy") as prose:
        with layout.part():
            result = experiment_panel.result(Toy, say("Train them here"))
            figures = result.figures
            toy(base=base(), geometry=figures.geometry, words=prose.texts, key="toy")
        with layout.part():
            st.markdown(prose("noisy"))
            head = [say("Trained"), say("With weight decay"), say("With next to none")]
            comparison_table.beside(head, [_row(name, path) for name, path in figures.trained.items()])
            _turns(figures)
        with layout.part():
            comparison_table.claims(result.claims)
            layout.source(say("Tanay & Griffin 2018, the toy problem"), URL)


def _name(trained: str) -> str:
    named = {
        "hinge centred": say("SVM, no intercept"),
        "hinge free": say("SVM"),
        "logistic centred": say("logistic, no intercept"),
        "logistic free": say("logistic regression"),
    }
    return named[trained]


def _turns(figures: ToyFigures) -> None:
    """Draw how far each trained boundary tilts."""
    decays = [10**log for log in figures.log_lambda]
    series = [
        charts.Series(_name(name), decays, path.turn, colour=index)
        for index, (name, path) in enumerate(figures.trained.items())
    ]
    alt = say("How far each trained boundary tilts, over the strength of weight decay.")
    axes = say("weight decay λ"), say("share of the quarter turn")
    charts.lines(series, *axes, alt=alt, key="toy", log="x", percent=True, height=300)


def _row(name: str, path: Trained) -> list[str | Cell]:
    turns = path.with_decay, path.without_decay
    return [_name(name), *(Cell(turn, scale=100, unit=" %") for turn in turns)]
