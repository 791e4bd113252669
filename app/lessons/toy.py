"""The toy problem: a boundary at an angle, mirror images, and one noisy label."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.access import base
from app.subject import wake

LAB, ORDER = "Tilting boundary", 210
URL = "https://arxiv.org/abs/1806.11186"
NAMES = {
    "hinge centred": "SVM, no intercept",
    "hinge free": "SVM",
    "logistic centred": "logistic, no intercept",
    "logistic free": "logistic regression",
}


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts
    from components.toy import toy

    with lesson.page("toy") as said:
        result = trial.result("toy", "Train them here")
        figures = result["figures"]
        toy(base=base(), figures=figures, words=said, key="toy")
        st.markdown(said["noisy"])
        head = ["Trained", "With weight decay", "With next to none"]
        verdicts.beside(head, [_row(name, each) for name, each in figures["trained"].items()])
        logs = figures["log_lambda"]
        series = [
            plots.Series(NAMES[name], [10**log for log in logs], each["turn"], colour=index)
            for index, (name, each) in enumerate(figures["trained"].items())
        ]
        axes = ("weight decay λ", "share of the quarter turn")
        alt = "How far each trained boundary tilts, over the strength of weight decay."
        plots.lines(series, *axes, alt=alt, key="toy", log="x", percent=True)
        verdicts.claims(result["claims"])
        lesson.source("Tanay & Griffin 2018, the toy problem", URL)


def _row(name: str, each: dict[str, Any]) -> list[Any]:
    from components.verdicts import Cell

    return [NAMES[name], *(Cell(each[key], scale=100, unit=" %") for key in ("with", "without"))]
