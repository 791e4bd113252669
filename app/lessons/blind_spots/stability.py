"""Norms of layers, their product, and what changes really do."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout

URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    with layout.page("stability") as said:
        with layout.part():
            words = say("Compute it here, for LeNet on 20 digits")
            result = experiment_panel.result("stability", words, networks="lenet", n=20)
            figures = result["figures"]
            network = figures["networks"][_chosen(figures["networks"])]
            st.markdown(said["chain"])
            _curve(network)
        with layout.part():
            _table(network["layers"])
            comparison_table.claims(result["claims"])
        with layout.part():
            st.markdown(said["paper"])
            _paper(figures["paper"])
            layout.source(say("Szegedy et al. 2013, section 4.3, table 5"), URL)


def _chosen(networks: dict[str, Any]) -> str:
    """Let the reader choose a network."""
    names = list(networks)
    return str(
        st.segmented_control(
            say("Network"), names, format_func=lambda n: networks[n]["title"], default=names[0],
            key=f"stability.network.{'.'.join(names)}", required=True,
        )
    )  # fmt: skip


def _curve(network: dict[str, Any]) -> None:

    layers = network["layers"]
    places = list(range(1, len(layers) + 1))
    series = []
    for key, words, colour in (("adversarial", say("adversarial"), 1), ("random", say("random"), 0)):
        value, low, high = (_values(layers, key, part) for part in ("value", "low", "high"))
        series.append(charts.Series(words, places, value, low, high, colour=colour))
    if network["guarantee"]:
        products = [layer["product"] for layer in layers]
        series.append(charts.Series(say("allowed"), places, products, dash="dot", colour=6))
    words = "Growth of a change from layer to layer of {network}, on a logarithmic scale."
    axes = say("layer"), say("times its size in the picture")
    charts.lines(series, *axes, alt=say(words, network=network["title"]), key="stability", log="y")


def _values(layers: list[dict[str, Any]], key: str, part: str) -> list[float]:
    """Return numbers that a logarithmic axis can show."""
    return [max(float(layer[key][part] or 0), 1e-6) for layer in layers]


def _table(layers: list[dict[str, Any]]) -> None:
    """Show each layer's norm, and what it does to changes."""
    words = say("Layer"), say("Kind"), say("Norm"), say("Product so far")
    comparison_table.beside([*words, say("Adversarial"), say("Random")], [_row(layer) for layer in layers])


def _row(layer: dict[str, Any]) -> list[Any]:

    norm = say("not known") if layer["norm"] is None else Cell(layer["norm"])
    product = "" if layer["product"] is None else Cell(layer["product"], digits=2)
    names = [say(name) if name == "normalisation" else name for name in (layer["name"], layer["kind"])]
    return [*names, norm, product, cell(layer["adversarial"]), cell(layer["random"])]


def _paper(paper: dict[str, Any]) -> None:

    rows: list[list[Any]] = [
        [name, each["size"], str(each["stride"]), Cell(each["bound"]["value"]), Cell(each["if printed"])]
        for name, each in paper["layers"].items()
    ]
    rows.append([say("Product"), "", "", Cell(paper["product"]), Cell(paper["if printed"])])
    head = [say("{network}, published", network=paper["network"]), say("Size"), say("Stride")]
    comparison_table.beside([*head, say("As published"), say("With 1 / stride")], rows)
