"""Table 1: six networks, their errors, and the smallest change that fools them."""

from __future__ import annotations

import streamlit as st

from components.display import comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.core import Published, Result
from experiments.szegedy2013.digit_nets import DigitNets
from experiments.szegedy2013.table1 import Network, Table1, Table1Figures

URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    with layout.page("smallest") as prose:
        with layout.part():
            result = experiment_panel.result(Table1, say("Measure it here, on 50 digits"), n=50)
            _table(result, _chosen(result.figures, result.n), prose("press"))
        with layout.part():
            st.markdown(prose("reading"))
            _readings(result.figures)
            comparison_table.claims(result.claims)
        with layout.part():
            st.markdown(prose("nets"))
            comparison_table.claims(experiment_panel.shipped(DigitNets).claims)
            layout.source(say("Szegedy et al. 2013, table 1"), URL)


def _chosen(figures: Table1Figures, n: int) -> str:
    """Let the reader choose at which wrong answer the attack aims."""
    names = figures.variants
    return str(
        st.segmented_control(
            say("Which wrong answer"), list(names), format_func=lambda v: say(names[v]),
            default=figures.variant, key=f"smallest.{n}", required=True,
        )
    )  # fmt: skip


def _table(result: Result[Table1Figures], variant: str, press: str) -> None:
    """Show the paper's first table, and why a number is far from the paper's where one is."""
    head = [say("Network"), say("Training error"), say("Test error"), say("Smallest change")]
    nets = result.figures.nets
    rows = [_row(name, net, variant, result.data) for name, net in nets.items()]
    comparison_table.beside(head, rows)
    layout.openable(result.data, press)
    for net in nets.values():
        if net.why:
            words = say("**{network}** is farther than a fifth from the paper's.", network=net.title)
            st.markdown(f"{words} {say(net.why)}")


def _readings(figures: Table1Figures) -> None:
    """Show how far each reading of the paper is from its numbers."""
    names = figures.variants
    rows: list[list[str | Cell]] = [
        [say(names[variant]), Cell(away)] for variant, away in figures.away.items()
    ]
    head = [say("Aim"), say("Farthest from the paper (logarithm of the ratio)")]
    comparison_table.beside(head, rows)
    words = (
        "Of the three readings, “{reading}” is nearest to the paper's column, judged by the figure that is "
        "farthest from it."
    )
    st.caption(say(words, reading=say(names[figures.variant])))


def _row(name: str, net: Network, variant: str, data: object) -> list[str | Cell]:
    """Return a network's row of the table; its distortion opens the first digit, attacked."""
    examples = net.examples.get(variant, net.examples["random"])
    image = layout.example(data, "train", examples.place[0], examples.source[0])
    href = layout.playground_url(name, image, examples.target[0])
    return [
        net.title,
        _beside(cell(net.train, scale=100, unit=" %"), net.published_train, 0.01),
        _beside(cell(net.test, scale=100, unit=" %"), net.published_test, 0.01),
        _beside(cell(net.distortion[variant].mean, href=href), net.published),
    ]


def _beside(own: Cell, published: Published | None, scale: float = 1) -> Cell:
    """Return a cell with the paper's number in it too, where there is one; its errors are in per cent."""
    if published is None:
        return own
    return own._replace(published=published.value * scale, recalled=published.recalled)
