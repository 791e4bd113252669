"""Reliability, labels by lot, and one step along the gradient's sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.tanay2018.calibration import (
    AtTemperature,
    Calibration,
    ModelFigures,
    Penalised,
    RandomLabelFigures,
)
from models import card

URL = "https://arxiv.org/abs/1806.11186"
PERCENT: dict[str, Any] = {"scale": 100, "unit": " %"}
SMALL = {"n": 1000, "attacked": 100, "random_n": 100, "random_epochs": 20, "l1_n": 500, "l1_epochs": 2}


def render() -> None:
    """Draw the lesson."""
    with layout.page("calibration") as prose:
        with layout.part():
            result = experiment_panel.result(Calibration, say("Compute it on 1,000 digits"), **SMALL)
            figures, networks = result.figures, result.figures.networks
            _reliability(networks[_chosen(_with_diagrams(networks))].temperatures, prose("reliability"))
            _errors(networks)
        with layout.part():
            st.markdown(prose("step"))
            _step(networks, figures.epsilons)
        with layout.part():
            st.markdown(prose("labels"))
            _random_labels(figures.random_labels)
        with layout.part():
            st.markdown(prose("l1"))
            head = [say("Penalty"), say("Training error"), say("Test error")]
            comparison_table.beside(head, [_penalty(trained) for trained in figures.l1])
            comparison_table.claims(result.claims)
            layout.source(say("Tanay & Griffin 2018, the section on under-regularisation"), URL)


def _with_diagrams(networks: Mapping[str, ModelFigures]) -> list[str]:
    """Return the names of the models whose reliability diagrams are stored."""
    return [name for name, model in networks.items() if all(at.counts for at in model.temperatures)]


def _chosen(names: list[str]) -> str:
    """Let the reader choose a network."""
    first = "lenet_low" if "lenet_low" in names else names[0]
    return str(
        st.segmented_control(
            say("Network"), names, format_func=lambda n: card(n).title, key="calibration.network",
            default=first, required=True,
        )
    )  # fmt: skip


def _reliability(grid: Sequence[AtTemperature], words: str) -> None:
    """Let the reader drag the temperature; show how sure and how right."""
    nearest = min(range(len(grid)), key=lambda i: abs(grid[i].temperature - 1))
    index = st.select_slider(
        say("Temperature"), list(range(len(grid))), value=nearest, key="calibration.temperature",
        format_func=lambda i: f"{grid[i].temperature:.3g}",
    )  # fmt: skip
    at = grid[index]
    filled = [i for i, count in enumerate(at.counts) if count]
    sure, right = [at.scores[i] for i in filled], [at.right[i] for i in filled]
    series = [
        charts.Series(say("as right as sure"), [0.0, 1.0], [0.0, 1.0], dash="dot", colour=6),
        charts.Series(say("this network"), sure, right, colour=1),
    ]
    facts = {"temperature": f"{at.temperature:.3g}", "error": f"{at.ece:.2%}"}
    alt = say("At temperature {temperature} the calibration error is {error}.", **facts)
    st.markdown(words)
    axes = say("how sure"), say("how often right")
    charts.lines(series, *axes, alt=alt, key="reliability", percent=True, height=240)


def _errors(networks: Mapping[str, ModelFigures]) -> None:
    """Show how wrong and how badly calibrated each model is, before and after."""
    words = say("Network"), say("Error"), say("Calibration error"), say("Likeliest temperature")
    head = [*words, say("then"), say("Scores of exactly 1")]
    comparison_table.beside(head, [_row(card(name).title, model) for name, model in networks.items()])


def _row(title: str, model: ModelFigures) -> list[str | Cell]:
    error, ece = cell(model.error, **PERCENT), cell(model.ece, **PERCENT)
    after, saturated = cell(model.ece_after_fit, **PERCENT), cell(model.saturated, **PERCENT)
    return [title, error, ece, Cell(model.fitted_temperature), after, saturated]


def _step(networks: Mapping[str, ModelFigures], epsilons: list[float]) -> None:
    """Draw how many digits one step of growing size fools."""
    series = []
    for name, model in networks.items():
        errors = model.step.own
        middle = [error.value for error in errors]
        low = [error.value if error.low is None else error.low for error in errors]
        high = [error.value if error.high is None else error.high for error in errors]
        series.append(charts.Series(card(name).title, epsilons, middle, low, high))
    alt = say("Share of digits read wrongly after one step, over its size.")
    axes = say("largest change"), say("read wrongly")
    charts.lines(series, *axes, alt=alt, key="calibration.step", percent=True)


def _random_labels(trained: Mapping[str, RandomLabelFigures]) -> None:
    """Draw how random labels are learnt."""
    series = [
        charts.Series(card(name).title, list(range(1, len(model.errors) + 1)), model.errors)
        for name, model in trained.items()
    ]
    alt = say("Training error on labels drawn by lot, by pass.")
    charts.lines(series, say("passes"), say("not learnt"), alt=alt, key="calibration.lots", percent=True)


def _penalty(trained: Penalised) -> list[str | Cell]:
    errors = trained.train_error, trained.test_error
    return [f"{trained.penalty:g}", *(cell(error, **PERCENT) for error in errors)]
