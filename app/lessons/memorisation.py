"""True labels, random labels, shuffled pixels, noise: a network learns them all."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake
from components.text import say

LAB, ORDER = "Blind spots", 190
URL = "https://arxiv.org/abs/1611.03530"
CURVES = ("true", "half", "random_labels", "random_pixels", "gaussian")
PERCENT: dict[str, Any] = {"scale": 100, "unit": " %"}
SMALL = {"n": 300, "epochs": 60, "tests": 1000, "attacked": 20, "theorem": 100}


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts
    from components.tiles import tiles

    with lesson.page("memorisation") as said:
        with lesson.part():
            result = trial.result("memorisation", say("Train them here, on 300 digits"), **SMALL)
            figures, told = result["figures"], result["figures"]["conditions"]
            tiles([[_tile(told[name]) for name in CURVES]])
            _passes(told, said["curves"])
        with lesson.part():
            _table(told)
        with lesson.part():
            st.markdown(said["distortion"])
            _undone(figures["distortion"], told)
            st.markdown(said["theorem"])
            _theorem(figures["theorem"])
        with lesson.part():
            verdicts.claims(result["claims"])
            st.markdown(said["other"])
            _published(figures["published"])
            cited = "Zhang et al. 2016, Understanding deep learning requires rethinking generalization"
            lesson.source(cited, URL)


def _tile(condition: dict[str, Any]) -> Any:
    from components.tiles import Tile

    facts = {"title": say(condition["title"]), "label": condition["label"]}
    alt = say("A training picture of “{title}”, labelled {label}", **facts)
    return Tile(condition["picture"], alt, say("{title}: “{label}”", **facts))


def _passes(told: dict[str, Any], words: str) -> None:
    """Draw the right answers by pass, on the pictures that the reader chooses."""
    from components import plots

    parts = {"train": say("training pictures"), "test": say("new pictures")}
    st.markdown(words)
    part = st.segmented_control(
        say("Answers on"), list(parts), format_func=parts.__getitem__, default="train",
        key="memorisation.part", required=True,
    )  # fmt: skip
    series = [plots.Series(say(told[n]["title"]), *_curve(told[n]["curves"], str(part))) for n in CURVES]
    alt = say("Share of right answers on {part} by pass, for each kind of labels.", part=parts[str(part)])
    axes = say("passes"), say("right answers")
    plots.lines(series, *axes, alt=alt, key="memorisation", percent=True, height=240)


def _curve(curves: dict[str, Any], part: str) -> tuple[list[int], list[float]]:
    return curves.get("passes", list(range(len(curves[part])))), curves[part]


def _table(told: dict[str, Any]) -> None:
    """Show when each condition was learnt, and what it was good for."""
    from components import verdicts
    from components.verdicts import Cell, cell

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
    verdicts.beside(head, rows)


def _undone(distortion: dict[str, Any], told: dict[str, Any]) -> None:
    """Show how small a change undoes what was learnt."""
    from components import verdicts

    rows: list[list[Any]] = [
        [say(told[name]["title"]), verdicts.cell(each)] for name, each in distortion.items()
    ]
    verdicts.beside([say("Learnt"), say("Smallest change that undoes it")], rows)


def _theorem(built: list[dict[str, Any]]) -> None:
    """Show the networks that were built for random labels."""
    from components import verdicts
    from components.verdicts import Cell, cell

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
    verdicts.beside([*head, say("Right on new pictures (guessing: 10 %)")], rows)


def _published(published: dict[str, Any]) -> None:
    """Show the paper's own numbers."""
    from components import verdicts
    from components.verdicts import Cell

    def number(each: dict[str, Any]) -> Cell:
        unit = say(" % (recalled)") if each["recalled"] else " %"
        return Cell(each["value"], unit=unit, digits=4)

    rows: list[list[Any]] = [
        [say(name), number(row["train"]), number(row["test"])] for name, row in published["rows"].items()
    ]
    verdicts.beside([say("CIFAR-10, as published"), say("Training"), say("Test")], rows)
