"""The toy problem: a boundary at an angle, mirror images, and one noisy label."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.access import base
from app.subject import wake
from components.text import say

LAB, ORDER = "Tilting boundary", 210
URL = "https://arxiv.org/abs/1806.11186"


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts
    from components.toy import toy

    with lesson.page("toy") as said:
        with lesson.part():
            result = trial.result("toy", say("Train them here"))
            figures = result["figures"]
            toy(base=base(), figures=figures, words=said, key="toy")
        with lesson.part():
            st.markdown(said["noisy"])
            head = [say("Trained"), say("With weight decay"), say("With next to none")]
            verdicts.beside(head, [_row(name, each) for name, each in figures["trained"].items()])
            _turns(figures)
        with lesson.part():
            verdicts.claims(result["claims"])
            lesson.source(say("Tanay & Griffin 2018, the toy problem"), URL)


def _name(trained: str) -> str:
    named = {
        "hinge centred": say("SVM, no intercept"),
        "hinge free": say("SVM"),
        "logistic centred": say("logistic, no intercept"),
        "logistic free": say("logistic regression"),
    }
    return named[trained]


def _turns(figures: dict[str, Any]) -> None:
    """Draw how far each trained boundary tilts."""
    from components import plots

    decays = [10**log for log in figures["log_lambda"]]
    series = [
        plots.Series(_name(name), decays, each["turn"], colour=index)
        for index, (name, each) in enumerate(figures["trained"].items())
    ]
    alt = say("How far each trained boundary tilts, over the strength of weight decay.")
    axes = say("weight decay λ"), say("share of the quarter turn")
    plots.lines(series, *axes, alt=alt, key="toy", log="x", percent=True, height=300)


def _row(name: str, each: dict[str, Any]) -> list[Any]:
    from components.verdicts import Cell

    return [_name(name), *(Cell(each[key], scale=100, unit=" %") for key in ("with", "without"))]
