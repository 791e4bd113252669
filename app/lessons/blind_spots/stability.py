"""Norms of layers, their product, and what changes really do."""

from __future__ import annotations

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from engine.intervals import Estimate
from experiments.szegedy2013.stability import MeasuredLayer, NetworkStability, Paper, Stability

URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    with layout.page("stability") as prose:
        with layout.part():
            words = say("Compute it here, for LeNet on 20 digits")
            result = experiment_panel.result(Stability, words, networks="lenet", n=20)
            figures = result.figures
            network = figures.networks[_chosen(figures.networks)]
            st.markdown(prose("chain"))
            _curve(network)
        with layout.part():
            _table(network.layers)
            comparison_table.claims(result.claims)
        with layout.part():
            st.markdown(prose("paper"))
            _paper(figures.paper)
            layout.source(say("Szegedy et al. 2013, section 4.3, table 5"), URL)


def _chosen(networks: dict[str, NetworkStability]) -> str:
    """Let the reader choose a network."""
    names = list(networks)
    return str(
        st.segmented_control(
            say("Network"), names, format_func=lambda n: networks[n].title, default=names[0],
            key=f"stability.network.{'.'.join(names)}", required=True,
        )
    )  # fmt: skip


def _curve(network: NetworkStability) -> None:
    """Draw how much changes grow, and, where norms allow one, the bound."""
    places = list(range(1, len(network.layers) + 1))
    adversarial = [layer.adversarial for layer in network.layers]
    random = [layer.random for layer in network.layers]
    series = [
        _series(say("adversarial"), places, adversarial, colour=1),
        _series(say("random"), places, random, colour=0),
    ]
    if network.guarantee:
        products = [_positive(layer.product) for layer in network.layers]
        series.append(charts.Series(say("allowed"), places, products, dash="dot", colour=6))
    words = "Growth of a change from layer to layer of {network}, on a logarithmic scale."
    axes = say("layer"), say("times its size in the picture")
    charts.lines(series, *axes, alt=say(words, network=network.title), key="stability", log="y")


def _series(title: str, places: list[int], grown: list[Estimate], colour: int) -> charts.Series:
    value = [_positive(estimate.value) for estimate in grown]
    low = [_positive(estimate.low) for estimate in grown]
    high = [_positive(estimate.high) for estimate in grown]
    return charts.Series(title, places, value, low, high, colour=colour)


def _positive(value: float | None) -> float:
    """Return a number that a logarithmic axis can show."""
    return max(value or 0.0, 1e-6)


def _table(layers: list[MeasuredLayer]) -> None:
    """Show each layer's norm, and what it does to changes."""
    words = say("Layer"), say("Kind"), say("Norm"), say("Product so far")
    comparison_table.beside([*words, say("Adversarial"), say("Random")], [_row(layer) for layer in layers])


def _row(layer: MeasuredLayer) -> list[str | Cell]:
    norm = say("not known") if layer.norm is None else Cell(layer.norm)
    product = "" if layer.product is None else Cell(layer.product, digits=2)
    names = [say(name) if name == "normalisation" else name for name in (layer.name, layer.kind)]
    return [*names, norm, product, cell(layer.adversarial), cell(layer.random)]


def _paper(paper: Paper) -> None:
    """Show the paper's table 5 beside what its bounds are with 1 / stride."""
    rows: list[list[str | Cell]] = [
        [name, layer.size, str(layer.stride), Cell(layer.bound.value), Cell(layer.if_printed)]
        for name, layer in paper.layers.items()
    ]
    rows.append([say("Product"), "", "", Cell(paper.product), Cell(paper.if_printed)])
    head = [say("{network}, published", network=paper.network), say("Size"), say("Stride")]
    comparison_table.beside([*head, say("As published"), say("With 1 / stride")], rows)
