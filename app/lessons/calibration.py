"""Reliability, labels by lot, and one step along the gradient's sign."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Tilting boundary", 260


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts
    from models import card

    with lesson.page("calibration") as said:
        small = {
            "n": 1000,
            "attacked": 100,
            "random_n": 100,
            "random_epochs": 20,
            "l1_n": 500,
            "l1_epochs": 2,
        }
        result = trial.result("calibration", "Compute it on 1,000 digits", **small)
        figures, networks = result["figures"], result["figures"]["networks"]
        name = st.segmented_control(
            "Network", list(networks), format_func=lambda n: card(n).title, key="calibration.network",
            default="lenet_low" if "lenet_low" in networks else next(iter(networks)), required=True,
        )  # fmt: skip
        _reliability(networks[str(name)], said["reliability"])
        head = [
            "Network",
            "Error",
            "Calibration error",
            "Likeliest temperature",
            "then",
            "Scores of exactly 1",
        ]
        verdicts.beside(head, [_row(card(n).title, each) for n, each in networks.items()])
        st.markdown(said["step"])
        series = [_step(card(n).title, each, figures["epsilons"]) for n, each in networks.items()]
        axes = ("largest change", "read wrongly")
        alt = "Share of digits read wrongly after one step, over its size."
        plots.lines(series, *axes, alt=alt, key="calibration.step", percent=True)
        st.markdown(said["labels"])
        lots = [
            plots.Series(card(n).title, list(range(1, len(each["errors"]) + 1)), each["errors"])
            for n, each in figures["labels_by_lot"].items()
        ]
        alt = "Training error on labels drawn by lot, by pass."
        plots.lines(lots, "passes", "not learnt", alt=alt, key="calibration.lots", percent=True)
        st.markdown(said["l1"])
        verdicts.beside(["Penalty", "Training error", "Test error"], [_penalty(e) for e in figures["l1"]])
        verdicts.claims(result["claims"])
        lesson.source("Tanay & Griffin 2018, the section on under-regularisation", URL)


URL = "https://arxiv.org/abs/1806.11186"
PERCENT: dict[str, Any] = {"scale": 100, "unit": " %"}


def _reliability(network: dict[str, Any], words: str) -> None:
    """Let the reader drag the temperature; show how sure and how right."""
    from components import plots

    grid = network["temperatures"]
    nearest = min(range(len(grid)), key=lambda i: abs(grid[i]["temperature"] - 1))
    index = st.select_slider(
        "Temperature", list(range(len(grid))), value=nearest, key="calibration.temperature",
        format_func=lambda i: f"{grid[i]['temperature']:.3g}",
    )  # fmt: skip
    at = grid[index]
    filled = [i for i, count in enumerate(at["counts"]) if count]
    sure, right = [at["scores"][i] for i in filled], [at["right"][i] for i in filled]
    series = [
        plots.Series("as right as sure", [0.0, 1.0], [0.0, 1.0], dash="dot", colour=6),
        plots.Series("this network", sure, right, colour=1),
    ]
    alt = f"At temperature {at['temperature']:.3g} the calibration error is {at['ece']:.2%}."
    st.markdown(words)
    plots.lines(series, "how sure", "how often right", alt=alt, key="reliability", percent=True)


def _row(title: str, each: dict[str, Any]) -> list[Any]:
    from components.verdicts import Cell, cell

    return [
        title,
        cell(each["error"], **PERCENT),
        cell(each["ece"], **PERCENT),
        Cell(each["likeliest"]),
        cell(each["ece_at_likeliest"], **PERCENT),
        cell(each["saturated"], **PERCENT),
    ]


def _step(title: str, each: dict[str, Any], epsilons: list[float]) -> Any:
    from components.plots import Series

    rows = each["step"]["own"]
    middle, low, high = ([float(row[key]) for row in rows] for key in ("value", "low", "high"))
    return Series(title, epsilons, middle, low, high)


def _penalty(each: dict[str, Any]) -> list[Any]:
    from components.verdicts import cell

    return [f"{each['penalty']:g}", cell(each["train_error"], **PERCENT), cell(each["test_error"], **PERCENT)]
