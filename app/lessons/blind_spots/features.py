"""Bugs or features: learning from adversarial pictures with the labels that they imitate."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell, percent
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.ilyas2019.features import NEXT, RANDOM, Example, Features, FeaturesFigures, KindFigures
from experiments.ilyas2019.photo_features import PhotoFeatures

URL = "https://arxiv.org/abs/1905.02175"
SMALL = {"n": 1000, "networks": 1, "passes": 20, "steps": 20, "tests": 1000}


def render() -> None:
    """Draw the lesson."""
    with layout.page("features") as prose:
        with layout.part():
            words = say("Learn them here, from 1,000 digits")
            result = experiment_panel.result(Features, words, **SMALL)
            figures = result.figures
            st.markdown(prose("pictures"))
            shown = [figures.kinds[name] for name in (RANDOM, NEXT)]
            tiles([_row(kind, figures.classes) for kind in shown])
        with layout.part():
            st.markdown(prose("curves"))
            _passes(figures.kinds)
        with layout.part():
            st.markdown(prose("test"))
            _table(figures)
            st.markdown(prose("photos"))
            _table(experiment_panel.shipped(PhotoFeatures).figures)
        with layout.part():
            comparison_table.claims(result.claims)
            st.markdown(prose("other"))
            _published(figures)
            layout.source(say("Ilyas et al. 2019, section 3.2 and table 1"), URL)


def _row(kind: KindFigures, classes: Sequence[str]) -> list[Tile]:
    return [_tile(example, classes) for example in kind.examples]


def _tile(example: Example, classes: Sequence[str]) -> Tile:
    facts = {"shows": classes[example.shows], "label": classes[example.label]}
    alt = say("A training picture that shows {shows} to people, labelled {label}", **facts)
    return Tile(example.picture, alt, say("looks like {shows}, learnt as “{label}”", **facts))


def _passes(kinds: dict[str, KindFigures]) -> None:
    """Draw the clean digits that are read rightly, by pass."""
    series = [
        charts.Series(say(kind.title), list(range(1, len(kind.curves.test) + 1)), kind.curves.test)
        for kind in kinds.values()
    ]
    alt = say("Share of clean test digits read rightly by pass, for each kind of training pictures.")
    axes = say("passes"), say("clean digits right")
    charts.lines(series, *axes, alt=alt, key="features", percent=True, height=280)


def _table(figures: FeaturesFigures) -> None:
    """Show what each kind of training pictures taught."""
    head = [
        say("Learnt from"),
        say("Clean pictures right"),
        say("Says the next class"),
        say("Mean change (l2)"),
    ]
    rows: list[list[str | Cell]] = [
        [
            say(kind.title),
            cell(kind.test, scale=100, unit=" %", digits=3),
            cell(kind.next, scale=100, unit=" %", digits=3),
            Cell(kind.length, digits=3),
        ]
        for kind in figures.kinds.values()
    ]
    comparison_table.beside(head, rows)


def _published(figures: FeaturesFigures) -> None:
    """Show the paper's own numbers beside ours."""
    head = [say("Clean pictures right"), say("Digits, here"), "CIFAR-10", "Restricted ImageNet"]
    rows: list[list[str | Cell]] = [
        [
            say(figures.kinds[name].title),
            cell(figures.kinds[name].test, scale=100, unit=" %", digits=3),
            percent(row.cifar),
            percent(row.imagenet),
        ]
        for name, row in figures.published.items()
    ]
    comparison_table.beside(head, rows)
