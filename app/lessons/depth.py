"""Weight decay in networks of two, four and six layers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Tilting boundary", 240
URL = "https://arxiv.org/abs/1806.11186"


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts

    with lesson.page("depth") as said:
        small = {"n": 500, "epochs": 3, "repeats": 2}
        result = trial.result("depth", "Train them here, on 500 digits of each", **small)
        figures = result["figures"]
        decays, depths = figures["decays"], figures["depths"]
        st.markdown(said["distance"])
        series = [plots.Series(f"{depth} layers", decays, *_band(each)) for depth, each in depths.items()]
        alt = "Distance of the nearest boundary over weight decay, for each depth."
        plots.lines(series, "weight decay", "distance (l2)", alt=alt, key="depth")
        head = ["Layers", *(f"decay {decay:g}" for decay in decays)]
        for words, key in (("Test error", "test_error"), ("Length of the gradient", "gradient")):
            st.markdown(f"**{words}**")
            verdicts.beside(head, [_row(depth, each[key], key) for depth, each in depths.items()])
        st.markdown(said["best"])
        gains = [[depth, *_gains(each, decays)] for depth, each in depths.items()]
        verdicts.beside(["Layers", "At decay", "Times farther", "As the linear view has it"], gains)
        verdicts.claims(result["claims"])
        lesson.source("Tanay & Griffin 2018, sections on two-layer networks and the general case", URL)


def _band(each: dict[str, Any]) -> tuple[list[float], list[float], list[float]]:
    """Return the distances that an attack found, with their intervals."""
    rows = each["attacked"]
    low = [row["value"] if row["low"] is None else row["low"] for row in rows]
    high = [row["value"] if row["high"] is None else row["high"] for row in rows]
    return [row["value"] for row in rows], low, high


def _row(depth: str, figures: list[dict[str, Any]], key: str) -> list[Any]:
    from components.verdicts import cell

    facts: dict[str, Any] = (
        {"scale": 100, "unit": " %", "digits": 2} if key == "test_error" else {"digits": 3}
    )
    return [depth, *(cell(each, **facts) for each in figures)]


def _gains(each: dict[str, Any], decays: list[float]) -> list[Any]:
    from components.verdicts import cell

    return [f"{decays[each['best']]:g}", cell(each["gain"]), cell(each["linear_gain"])]
