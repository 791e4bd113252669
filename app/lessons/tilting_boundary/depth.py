"""Weight decay in networks of two, four and six layers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout

URL = "https://arxiv.org/abs/1806.11186"
SMALL = {"n": 500, "epochs": 3, "repeats": 2}


def render() -> None:
    """Draw the lesson."""
    with layout.page("depth") as said:
        with layout.part():
            result = experiment_panel.result("depth", say("Train them here, on 500 digits of each"), **SMALL)
            decays, depths = result["figures"]["decays"], result["figures"]["depths"]
            st.markdown(said["distance"])
            _distances(decays, depths)
        with layout.part():
            _tables(decays, depths)
        with layout.part():
            st.markdown(said["best"])
            gains = [[depth, *_gains(each, decays)] for depth, each in depths.items()]
            head = [say("Layers"), say("At decay"), say("Times farther"), say("As the linear view has it")]
            comparison_table.beside(head, gains)
            comparison_table.claims(result["claims"])
            cited = say("Tanay & Griffin 2018, sections on two-layer networks and the general case")
            layout.source(cited, URL)


def _distances(decays: list[float], depths: dict[str, Any]) -> None:
    """Draw the distances that an attack found, with their intervals."""
    series = [
        charts.Series(say("{depth} layers", depth=depth), decays, *_band(each["attacked"]))
        for depth, each in depths.items()
    ]
    alt = say("Distance of the nearest boundary over weight decay, for each depth.")
    charts.lines(series, say("weight decay"), say("distance (l2)"), alt=alt, key="depth")


def _band(rows: list[dict[str, Any]]) -> tuple[list[float], list[float], list[float]]:
    low = [row["value"] if row["low"] is None else row["low"] for row in rows]
    high = [row["value"] if row["high"] is None else row["high"] for row in rows]
    return [row["value"] for row in rows], low, high


def _tables(decays: list[float], depths: dict[str, Any]) -> None:
    """Show errors and gradients under each decay."""
    head = [say("Layers"), *(say("decay {decay}", decay=f"{decay:g}") for decay in decays)]
    for words, key in ((say("Test error"), "test_error"), (say("Length of the gradient"), "gradient")):
        st.markdown(f"**{words}**")
        comparison_table.beside(head, [_row(depth, each[key], key) for depth, each in depths.items()])


def _row(depth: str, figures: list[dict[str, Any]], key: str) -> list[Any]:

    facts: dict[str, Any] = (
        {"scale": 100, "unit": " %", "digits": 2} if key == "test_error" else {"digits": 3}
    )
    return [depth, *(cell(each, **facts) for each in figures)]


def _gains(each: dict[str, Any], decays: list[float]) -> list[Any]:

    return [f"{decays[each['best']]:g}", cell(each["gain"]), cell(each["linear_gain"])]
