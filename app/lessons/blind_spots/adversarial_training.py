"""Pools of adversarial examples against weight decay and dropout."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout

URL = "https://arxiv.org/abs/1312.6199"
PERCENT = {"unit": " %", "digits": 3}
SMALL = {"n": 1000, "seeds": 2, "epochs": 4, "attacked": 20}


def render() -> None:
    """Draw the lesson."""
    with layout.page("adversarial_training") as said:
        with layout.part():
            words = say("Train them here, on 1,000 digits")
            result = experiment_panel.result("adversarial_training", words, **SMALL)
            figures, methods = result["figures"], result["figures"]["methods"]
            st.markdown(said["seeds"])
            head = [say("Trained with"), say("Test error"), say("Less than with weight decay (points)")]
            comparison_table.beside(head, [_errors(name, each, figures) for name, each in methods.items()])
        with layout.part():
            _passes(methods)
        with layout.part():
            st.markdown(said["distortion"])
            head = [say("Trained with"), say("Smallest change that fools"), say("Times that of weight decay")]
            comparison_table.beside(head, [_changes(each) for each in methods.values()])
        with layout.part():
            comparison_table.claims(result["claims"])
            layout.source(say("Szegedy et al. 2013, section 4.2"), URL)


def _passes(methods: dict[str, Any]) -> None:
    """Draw how the test error of each way of training falls."""
    series = [
        charts.Series(say(each["title"]), list(range(1, len(each["curve"]) + 1)), each["curve"])
        for each in methods.values()
    ]
    alt = say("Test error of each way of training, by pass over the training set; the mean of the seeds.")
    axes = say("passes"), say("test error in %")
    charts.lines(series, *axes, alt=alt, key="adversarial_training", log="y")


def _errors(name: str, each: dict[str, Any], figures: dict[str, Any]) -> list[Any]:

    published = figures["published"].get(name, {"value": None, "recalled": False})
    own = cell(each["error"], published=published["value"], recalled=published["recalled"], **PERCENT)
    return [say(each["title"]), own, cell(each["less_than_decay"], digits=2)]


def _changes(each: dict[str, Any]) -> list[Any]:

    return [say(each["title"]), cell(each["distortion"]), cell(each["distortion_over_decay"])]
