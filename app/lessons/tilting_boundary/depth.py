"""Weight decay in networks of two, four and six layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from engine.intervals import Estimate
from experiments.tanay2018.depth import Depth, DepthRow

URL = "https://arxiv.org/abs/1806.11186"
SMALL = {"n": 500, "epochs": 3, "repeats": 2}


def render() -> None:
    """Draw the lesson."""
    with layout.page("depth") as prose:
        with layout.part():
            result = experiment_panel.result(Depth, say("Train them here, on 500 digits of each"), **SMALL)
            decays, depths = result.figures.decays, result.figures.depths
            st.markdown(prose("distance"))
            _distances(decays, depths)
        with layout.part():
            _tables(decays, depths)
        with layout.part():
            st.markdown(prose("best"))
            gains = [[depth, *_gains(row, decays)] for depth, row in depths.items()]
            head = [say("Layers"), say("At decay"), say("Times farther"), say("As the linear view has it")]
            comparison_table.beside(head, gains)
            comparison_table.claims(result.claims)
            cited = say("Tanay & Griffin 2018, sections on two-layer networks and the general case")
            layout.source(cited, URL)


def _distances(decays: Sequence[float], depths: Mapping[str, DepthRow]) -> None:
    """Draw the distances that an attack found, with their intervals."""
    series = [
        charts.Series(say("{depth} layers", depth=depth), decays, *_band(row.attacked))
        for depth, row in depths.items()
    ]
    alt = say("Distance of the nearest boundary over weight decay, for each depth.")
    charts.lines(series, say("weight decay"), say("distance (l2)"), alt=alt, key="depth")


def _band(estimates: Sequence[Estimate]) -> tuple[list[float], list[float], list[float]]:
    low = [e.value if e.low is None else e.low for e in estimates]
    high = [e.value if e.high is None else e.high for e in estimates]
    return [e.value for e in estimates], low, high


def _tables(decays: Sequence[float], depths: Mapping[str, DepthRow]) -> None:
    """Show errors and gradients under each decay."""
    head = [say("Layers"), *(say("decay {decay}", decay=f"{decay:g}") for decay in decays)]
    st.markdown(f"**{say('Test error')}**")
    comparison_table.beside(head, [_errors(depth, row.test_error) for depth, row in depths.items()])
    st.markdown(f"**{say('Length of the gradient')}**")
    comparison_table.beside(head, [_gradients(depth, row.gradient) for depth, row in depths.items()])


def _errors(depth: str, estimates: Sequence[Estimate]) -> list[str | Cell]:
    return [depth, *(cell(estimate, scale=100, unit=" %", digits=2) for estimate in estimates)]


def _gradients(depth: str, estimates: Sequence[Estimate]) -> list[str | Cell]:
    return [depth, *(cell(estimate, digits=3) for estimate in estimates)]


def _gains(row: DepthRow, decays: Sequence[float]) -> list[str | Cell]:
    return [f"{decays[row.best]:g}", cell(row.gain), cell(row.linear_gain)]
