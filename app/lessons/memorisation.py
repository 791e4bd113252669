"""True labels, random labels, shuffled pixels, noise: a network learns them all."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Blind spots", 190
PARTS = {"train": "training pictures", "test": "new pictures"}
CURVES = ("true", "half", "random_labels", "random_pixels", "gaussian")


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts
    from components.tiles import tiles

    with lesson.page("memorisation") as said:
        small = {"n": 300, "epochs": 60, "tests": 1000, "attacked": 20, "theorem": 100}
        result = trial.result("memorisation", "Train them here, on 300 digits", **small)
        figures, told = result["figures"], result["figures"]["conditions"]
        tiles([[_tile(told[name]) for name in CURVES]])
        st.markdown(said["curves"])
        part = st.segmented_control(
            "Answers on", list(PARTS), format_func=lambda p: PARTS[p], default="train",
            key="memorisation.part", required=True,
        )  # fmt: skip
        series = [plots.Series(told[n]["title"], *_curve(told[n], str(part), figures)) for n in CURVES]
        alt = f"Share of right answers on {PARTS[str(part)]} by pass, for each kind of labels."
        plots.lines(series, "passes", "right answers", alt=alt, key="memorisation", percent=True)
        verdicts.beside(["Trained on", "Passes until learnt", "Training", "New pictures"], _rows(told))
        st.markdown(said["distortion"])
        verdicts.beside(["Learnt", "Smallest change that undoes it"], _changes(figures["distortion"], told))
        st.markdown(said["theorem"])
        head = ["Pictures n", "Weights 2n + d", "Largest error", "Right on new pictures (guessing: 10 %)"]
        verdicts.beside(head, [_built(each) for each in figures["theorem"]])
        verdicts.claims(result["claims"])
        st.markdown(said["other"])
        verdicts.beside(["CIFAR-10, as published", "Training", "Test"], _published(figures["published"]))
        lesson.source(
            "Zhang et al. 2016, Understanding deep learning requires rethinking generalization", URL
        )


URL = "https://arxiv.org/abs/1611.03530"


def _tile(condition: dict[str, Any]) -> Any:
    from components.tiles import Tile

    alt = f"A training picture of “{condition['title']}”, labelled {condition['label']}"
    return Tile(condition["picture"], alt, f"{condition['title']}: “{condition['label']}”")


def _curve(condition: dict[str, Any], part: str, figures: dict[str, Any]) -> tuple[list[int], list[float]]:
    values = condition["curves"][part]
    return condition["curves"].get("passes", list(range(len(values)))), values


def _rows(told: dict[str, Any]) -> list[list[Any]]:
    from components.verdicts import Cell, cell

    return [
        [
            each["title"],
            "never" if each["fitted"] is None else str(each["fitted"]),
            Cell(each["train"], scale=100, unit=" %"),
            cell(each["test"], scale=100, unit=" %"),
        ]
        for each in told.values()
    ]


def _changes(distortion: dict[str, Any], told: dict[str, Any]) -> list[list[Any]]:
    from components.verdicts import cell

    return [[told[name]["title"], cell(each)] for name, each in distortion.items()]


def _built(each: dict[str, Any]) -> list[Any]:
    from components.verdicts import Cell, cell

    test = cell(each["test"], scale=100, unit=" %")
    return [f"{each['n']:,}", f"{each['parameters']:,}", Cell(each["residual"], digits=1), test]


def _published(published: dict[str, Any]) -> list[list[Any]]:
    from components.verdicts import Cell

    def number(each: dict[str, Any]) -> Cell:
        return Cell(each["value"], unit=" %" + (" (recalled)" if each["recalled"] else ""), digits=4)

    return [[name, number(row["train"]), number(row["test"])] for name, row in published["rows"].items()]
