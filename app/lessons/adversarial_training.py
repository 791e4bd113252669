"""Pools of adversarial examples against weight decay and dropout."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake
from components.text import say

LAB, ORDER = "Blind spots", 180
URL = "https://arxiv.org/abs/1312.6199"
PERCENT = {"unit": " %", "digits": 3}
SMALL = {"n": 1000, "seeds": 2, "epochs": 4, "attacked": 20}


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts

    with lesson.page("adversarial_training") as said:
        with lesson.part():
            words = say("Train them here, on 1,000 digits")
            result = trial.result("adversarial_training", words, **SMALL)
            figures, methods = result["figures"], result["figures"]["methods"]
            st.markdown(said["seeds"])
            head = [say("Trained with"), say("Test error"), say("Less than with weight decay (points)")]
            verdicts.beside(head, [_errors(name, each, figures) for name, each in methods.items()])
        with lesson.part():
            _passes(methods)
        with lesson.part():
            st.markdown(said["distortion"])
            head = [say("Trained with"), say("Smallest change that fools"), say("Times that of weight decay")]
            verdicts.beside(head, [_changes(each) for each in methods.values()])
        with lesson.part():
            verdicts.claims(result["claims"])
            lesson.source(say("Szegedy et al. 2013, section 4.2"), URL)


def _passes(methods: dict[str, Any]) -> None:
    """Draw how the test error of each way of training falls."""
    from components import plots

    series = [
        plots.Series(say(each["title"]), list(range(1, len(each["curve"]) + 1)), each["curve"])
        for each in methods.values()
    ]
    alt = say("Test error of each way of training, by pass over the training set; the mean of the seeds.")
    axes = say("passes"), say("test error in %")
    plots.lines(series, *axes, alt=alt, key="adversarial_training", log="y")


def _errors(name: str, each: dict[str, Any], figures: dict[str, Any]) -> list[Any]:
    from components.verdicts import cell

    published = figures["published"].get(name, {"value": None, "recalled": False})
    own = cell(each["error"], published=published["value"], recalled=published["recalled"], **PERCENT)
    return [say(each["title"]), own, cell(each["less_than_decay"], digits=2)]


def _changes(each: dict[str, Any]) -> list[Any]:
    from components.verdicts import cell

    return [say(each["title"]), cell(each["distortion"]), cell(each["distortion_over_decay"])]
