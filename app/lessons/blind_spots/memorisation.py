"""True labels, random labels, shuffled pixels, noise: a network learns them all."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import experiment_panel, layout

URL = "https://arxiv.org/abs/1611.03530"
CURVES = ("true", "half", "random_labels", "random_pixels", "gaussian")
PERCENT: dict[str, Any] = {"scale": 100, "unit": " %"}
SMALL = {"n": 300, "epochs": 60, "tests": 1000, "attacked": 20, "theorem": 100}


def render() -> None:
    """Draw the lesson."""
    with layout.page("memorisation") as said:
        with layout.part():
            result = experiment_panel.result("memorisation", say("Train them here, on 300 digits"), **SMALL)
            figures, told = result["figures"], result["figures"]["conditions"]
            tiles([[_tile(told[name]) for name in CURVES]])
            _passes(told, said["curves"])
        with layout.part():
            _table(told)
        with layout.part():
            st.markdown(said["distortion"])
            _undone(figures["distortion"], told)
            st.markdown(said["theorem"])
            _theorem(figures["theorem"])
        with layout.part():
            comparison_table.claims(result["claims"])
            st.markdown(said["other"])
            _published(figures["published"])
            cited = "Zhang et al. 2016, Understanding deep learning requires rethinking generalization"
            layout.source(cited, URL)


def _tile(condition: dict[str, Any]) -> Any:

    facts = {"title": say(condition["title"]), "label": condition["label"]}
    alt = say("A training picture of “{title}”, labelled {label}", **facts)
    return Tile(condition["picture"], alt, say("{title}: “{label}”", **facts))


def _passes(told: dict[str, Any], words: str) -> None:
    """Draw the right answers by pass, on the pictures that the reader chooses."""
    parts = {"train": say("training pictures"), "test": say("new pictures")}
    st.markdown(words)
    part = st.segmented_control(
        say("Answers on"), list(parts), format_func=parts.__getitem__, default="train",
        key="memorisation.part", required=True,
    )  # fmt: skip
    series = [charts.Series(say(told[n]["title"]), *_curve(told[n]["curves"], str(part))) for n in CURVES]
    alt = say("Share of right answers on {part} by pass, for each kind of labels.", part=parts[str(part)])
    axes = say("passes"), say("right answers")
    charts.lines(series, *axes, alt=alt, key="memorisation", percent=True, height=240)


def _curve(curves: dict[str, Any], part: str) -> tuple[list[int], list[float]]:
    return curves.get("passes", list(range(len(curves[part])))), curves[part]


def _table(told: dict[str, Any]) -> None:
    """Show when each condition was learnt, and what it was good for."""
    head = [say("Trained on"), say("Passes until learnt"), say("Training"), say("New pictures")]
    rows: list[list[Any]] = [
        [
            say(each["title"]),
            say("never") if each["fitted"] is None else str(each["fitted"]),
            Cell(each["train"], **PERCENT),
            cell(each["test"], **PERCENT),
        ]
        for each in told.values()
    ]
    comparison_table.beside(head, rows)


def _undone(distortion: dict[str, Any], told: dict[str, Any]) -> None:
    """Show how small a change undoes what was learnt."""
    rows: list[list[Any]] = [
        [say(told[name]["title"]), comparison_table.cell(each)] for name, each in distortion.items()
    ]
    comparison_table.beside([say("Learnt"), say("Smallest change that undoes it")], rows)


def _theorem(built: list[dict[str, Any]]) -> None:
    """Show the networks that were built for random labels."""
    head = [say("Pictures n"), say("Weights 2n + d"), say("Largest error")]
    rows: list[list[Any]] = [
        [
            f"{each['n']:,}",
            f"{each['parameters']:,}",
            Cell(each["residual"], digits=1),
            cell(each["test"], **PERCENT),
        ]
        for each in built
    ]
    comparison_table.beside([*head, say("Right on new pictures (guessing: 10 %)")], rows)


def _published(published: dict[str, Any]) -> None:
    """Show the paper's own numbers."""

    def number(each: dict[str, Any]) -> Cell:
        unit = say(" % (recalled)") if each["recalled"] else " %"
        return Cell(each["value"], unit=unit, digits=4)

    rows: list[list[Any]] = [
        [say(name), number(row["train"]), number(row["test"])] for name, row in published["rows"].items()
    ]
    comparison_table.beside([say("CIFAR-10, as published"), say("Training"), say("Test")], rows)
