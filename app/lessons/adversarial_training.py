"""Pools of adversarial examples against weight decay and dropout."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Blind spots", 180
URL = "https://arxiv.org/abs/1312.6199"
PERCENT = {"unit": " %", "digits": 3}


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts

    with lesson.page("adversarial_training") as said:
        small = {"n": 1000, "seeds": 2, "epochs": 4, "attacked": 20}
        words = "Train them here, on 1,000 digits"
        result = trial.result("adversarial_training", words, **small)
        figures, methods = result["figures"], result["figures"]["methods"]
        st.markdown(said["seeds"])
        head = ["Trained with", "Test error", "Less than with weight decay (points)"]
        verdicts.beside(head, [_errors(name, each, figures) for name, each in methods.items()])
        series = [
            plots.Series(each["title"], list(range(1, len(each["curve"]) + 1)), each["curve"])
            for each in methods.values()
        ]
        alt = "Test error of each way of training, by pass over the training set; the mean of the seeds."
        plots.lines(series, "passes", "test error in %", alt=alt, key="adversarial_training", log="y")
        st.markdown(said["distortion"])
        head = ["Trained with", "Smallest change that fools", "Times that of weight decay"]
        verdicts.beside(head, [_changes(each) for each in methods.values()])
        verdicts.claims(result["claims"])
        lesson.source("Szegedy et al. 2013, section 4.2", URL)


def _errors(name: str, each: dict[str, Any], figures: dict[str, Any]) -> list[Any]:
    from components.verdicts import cell

    published = figures["published"].get(name, {"value": None, "recalled": False})
    own = cell(each["error"], published=published["value"], recalled=published["recalled"], **PERCENT)
    return [each["title"], own, cell(each["less_than_decay"], digits=2)]


def _changes(each: dict[str, Any]) -> list[Any]:
    from components.verdicts import cell

    return [each["title"], cell(each["distortion"]), cell(each["distortion_over_decay"])]
