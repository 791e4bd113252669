"""True labels, random labels, shuffled pixels, noise: a network learns them all."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell, percent
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from engine.intervals import Estimate
from experiments.zhang2016.fitting import Curves
from experiments.zhang2016.memorisation import (
    ConditionFigures,
    Memorisation,
    PublishedTable,
    TheoremNetwork,
)

URL = "https://arxiv.org/abs/1611.03530"
CURVES = ("true", "half", "random_labels", "random_pixels", "gaussian")
PERCENT: dict[str, Any] = {"scale": 100, "unit": " %"}
SMALL = {"n": 300, "epochs": 60, "tests": 1000, "attacked": 20, "theorem": 100}


def render() -> None:
    """Draw the lesson."""
    with layout.page("memorisation") as prose:
        with layout.part():
            result = experiment_panel.result(Memorisation, say("Train them here, on 300 digits"), **SMALL)
            figures, conditions = result.figures, result.figures.conditions
            tiles([[_tile(conditions[name]) for name in CURVES]])
            _passes(conditions, prose("curves"))
        with layout.part():
            _table(conditions)
        with layout.part():
            st.markdown(prose("distortion"))
            _undone(figures.distortion, conditions)
            st.markdown(prose("theorem"))
            _theorem(figures.theorem)
        with layout.part():
            comparison_table.claims(result.claims)
            st.markdown(prose("other"))
            _published(figures.published)
            cited = "Zhang et al. 2016, Understanding deep learning requires rethinking generalization"
            layout.source(cited, URL)


def _tile(condition: ConditionFigures) -> Tile:
    facts = {"title": say(condition.title), "label": condition.label}
    alt = say("A training picture of “{title}”, labelled {label}", **facts)
    return Tile(condition.picture, alt, say("{title}: “{label}”", **facts))


def _passes(conditions: dict[str, ConditionFigures], words: str) -> None:
    """Draw the right answers by pass, on the pictures that the reader chooses."""
    parts = {"train": say("training pictures"), "test": say("new pictures")}
    st.markdown(words)
    part = st.segmented_control(
        say("Answers on"), list(parts), format_func=parts.__getitem__, default="train",
        key="memorisation.part", required=True,
    )  # fmt: skip
    shown = [conditions[name] for name in CURVES]
    series = [
        charts.Series(say(condition.title), *_curve(condition.curves, part == "test")) for condition in shown
    ]
    alt = say("Share of right answers on {part} by pass, for each kind of labels.", part=parts[str(part)])
    axes = say("passes"), say("right answers")
    charts.lines(series, *axes, alt=alt, key="memorisation", percent=True, height=240)


def _curve(curves: Curves, test: bool) -> tuple[list[int], list[float]]:
    """Return passes, and the shares right after them on test or training pictures."""
    shares = curves.test if test else curves.train
    return list(range(len(shares))), shares


def _table(conditions: dict[str, ConditionFigures]) -> None:
    """Show when each condition was learnt, and what it was good for."""
    head = [say("Trained on"), say("Passes until learnt"), say("Training"), say("New pictures")]
    rows: list[list[str | Cell]] = [
        [
            say(condition.title),
            say("never") if condition.fitted is None else str(condition.fitted),
            Cell(condition.train, **PERCENT),
            cell(condition.test, **PERCENT),
        ]
        for condition in conditions.values()
    ]
    comparison_table.beside(head, rows)


def _undone(distortion: dict[str, Estimate], conditions: dict[str, ConditionFigures]) -> None:
    """Show how small a change undoes what was learnt."""
    rows: list[list[str | Cell]] = [
        [say(conditions[name].title), cell(estimate)] for name, estimate in distortion.items()
    ]
    comparison_table.beside([say("Learnt"), say("Smallest change that undoes it")], rows)


def _theorem(networks: list[TheoremNetwork]) -> None:
    """Show the networks that were built for random labels."""
    head = [say("Pictures n"), say("Weights 2n + d"), say("Largest error")]
    rows: list[list[str | Cell]] = [
        [
            f"{network.n:,}",
            f"{network.parameters:,}",
            Cell(network.residual, digits=1),
            cell(network.test, **PERCENT),
        ]
        for network in networks
    ]
    comparison_table.beside([*head, say("Right on new pictures (guessing: 10 %)")], rows)


def _published(published: PublishedTable) -> None:
    """Show the paper's own numbers."""
    rows: list[list[str | Cell]] = [
        [say(name), percent(row.train), percent(row.test)] for name, row in published.rows.items()
    ]
    comparison_table.beside([say("CIFAR-10, as published"), say("Training"), say("Test")], rows)
