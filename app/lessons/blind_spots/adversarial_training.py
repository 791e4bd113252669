"""Pools of adversarial examples against weight decay and dropout."""

from __future__ import annotations

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.core import Published
from experiments.szegedy2013.adversarial_training import AdversarialTraining, MethodFigures

URL = "https://arxiv.org/abs/1312.6199"
SMALL = {"n": 1000, "seeds": 2, "epochs": 4, "attacked": 20}


def render() -> None:
    """Draw the lesson."""
    with layout.page("adversarial_training") as prose:
        with layout.part():
            words = say("Train them here, on 1,000 digits")
            result = experiment_panel.result(AdversarialTraining, words, **SMALL)
            methods, published = result.figures.methods, result.figures.published
            st.markdown(prose("seeds"))
            head = [say("Trained with"), say("Test error"), say("Less than with weight decay (points)")]
            rows = [_errors(method, published.get(name)) for name, method in methods.items()]
            comparison_table.beside(head, rows)
        with layout.part():
            _passes(methods)
        with layout.part():
            st.markdown(prose("distortion"))
            head = [say("Trained with"), say("Smallest change that fools"), say("Times that of weight decay")]
            comparison_table.beside(head, [_changes(method) for method in methods.values()])
        with layout.part():
            comparison_table.claims(result.claims)
            layout.source(say("Szegedy et al. 2013, section 4.2"), URL)


def _passes(methods: dict[str, MethodFigures]) -> None:
    """Draw how the test error of each way of training falls."""
    series = [
        charts.Series(say(method.title), list(range(1, len(method.curve) + 1)), method.curve)
        for method in methods.values()
    ]
    alt = say("Test error of each way of training, by pass over the training set; the mean of the seeds.")
    axes = say("passes"), say("test error in %")
    charts.lines(series, *axes, alt=alt, key="adversarial_training", log="y")


def _errors(method: MethodFigures, published: Published | None) -> list[str | Cell]:
    facts = {"published": published.value, "recalled": published.recalled} if published else {}
    own = cell(method.error, unit=" %", digits=3, **facts)
    return [say(method.title), own, cell(method.less_than_decay, digits=2)]


def _changes(method: MethodFigures) -> list[str | Cell]:
    return [say(method.title), cell(method.distortion), cell(method.distortion_over_decay)]
