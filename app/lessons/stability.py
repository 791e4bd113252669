"""Norms of layers, their product, and what changes really do."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Blind spots", 170
URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts

    with lesson.page("stability") as said:
        words, small = "Compute it here, for LeNet on 20 digits", {"networks": "lenet", "n": 20}
        result = trial.result("stability", words, **small)
        figures = result["figures"]
        names = list(figures["networks"])
        chosen = st.segmented_control(
            "Network", names, format_func=lambda n: figures["networks"][n]["title"], default=names[0],
            key=f"stability.network.{'.'.join(names)}", required=True,
        )  # fmt: skip
        network = figures["networks"][chosen]
        st.markdown(said["chain"])
        _curve(network)
        head = ["Layer", "Kind", "Norm", "Product so far", "Adversarial", "Random"]
        verdicts.beside(head, [_row(layer) for layer in network["layers"]])
        verdicts.claims(result["claims"])
        st.subheader("The paper's own norms", anchor=False)
        st.markdown(said["paper"])
        _paper(figures["paper"])
        lesson.source("Szegedy et al. 2013, section 4.3, table 5", URL)


def _curve(network: dict[str, Any]) -> None:
    from components import plots

    layers = network["layers"]
    places = list(range(1, len(layers) + 1))
    series = [
        plots.Series(
            words,
            places,
            _values(layers, key, "value"),
            _values(layers, key, "low"),
            _values(layers, key, "high"),
            colour=colour,
        )
        for key, words, colour in (("adversarial", "adversarial", 1), ("random", "random", 0))
    ]
    if network["guarantee"]:
        products = [layer["product"] for layer in layers]
        series.append(plots.Series("allowed", places, products, dash="dot", colour=6))
    alt = f"Growth of a change from layer to layer of {network['title']}, on a logarithmic scale."
    plots.lines(series, "layer", "times its size in the picture", alt=alt, key="stability", log="y")


def _values(layers: list[dict[str, Any]], key: str, part: str) -> list[float]:
    """Return numbers that a logarithmic axis can show."""
    return [max(float(layer[key][part] or 0), 1e-6) for layer in layers]


def _row(layer: dict[str, Any]) -> list[Any]:
    from components.verdicts import Cell, cell

    norm = "not known" if layer["norm"] is None else Cell(layer["norm"])
    product = "" if layer["product"] is None else Cell(layer["product"], digits=2)
    return [layer["name"], layer["kind"], norm, product, cell(layer["adversarial"]), cell(layer["random"])]


def _paper(paper: dict[str, Any]) -> None:
    from components import verdicts
    from components.verdicts import Cell

    rows: list[list[Any]] = [
        [name, each["size"], str(each["stride"]), Cell(each["bound"]["value"]), Cell(each["if printed"])]
        for name, each in paper["layers"].items()
    ]
    rows.append(["Product", "", "", Cell(paper["product"]), Cell(paper["if printed"])])
    head = [f"{paper['network']}, published", "Size", "Stride", "As published", "With 1 / stride"]
    verdicts.beside(head, rows)
