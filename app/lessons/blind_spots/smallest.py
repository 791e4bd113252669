"""Table 1: six networks, their errors, and the smallest change that fools them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.display import comparison_table
from components.display.comparison_table import cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout

URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    with layout.page("smallest") as said:
        with layout.part():
            result = experiment_panel.result("table1", say("Measure it here, on 50 digits"), n=50)
            figures = result["figures"]
            _table(result, _chosen(figures, result["n"]), said["press"])
        with layout.part():
            st.markdown(said["reading"])
            _readings(figures)
            comparison_table.claims(result["claims"])
        with layout.part():
            st.markdown(said["nets"])
            comparison_table.claims(experiment_panel.shipped("digit_nets")["claims"])
            layout.source(say("Szegedy et al. 2013, table 1"), URL)


def _chosen(figures: dict[str, Any], n: int) -> str:
    """Let the reader choose at which wrong answer the attack aims."""
    names = figures["variants"]
    return str(
        st.segmented_control(
            say("Which wrong answer"), list(names), format_func=lambda v: say(names[v]),
            default=figures["variant"], key=f"smallest.{n}", required=True,
        )
    )  # fmt: skip


def _table(result: dict[str, Any], variant: str, press: str) -> None:
    """Show the paper's first table, and why a number is far from the paper's where one is."""
    head = [say("Network"), say("Training error"), say("Test error"), say("Smallest change")]
    nets = result["figures"]["nets"]
    comparison_table.beside(head, [_row(name, result, variant) for name in nets])
    layout.openable(result, press)
    for net in nets.values():
        if net.get("why"):
            words = say("**{network}** is farther than a fifth from the paper's.", network=net["title"])
            st.markdown(f"{words} {say(net['why'])}")


def _readings(figures: dict[str, Any]) -> None:
    """Show how far each reading of the paper is from its numbers."""
    names = figures["variants"]
    rows: list[list[Any]] = [
        [say(names[v]), comparison_table.Cell(away)] for v, away in figures["away"].items()
    ]
    head = [say("Aim"), say("Farthest from the paper (logarithm of the ratio)")]
    comparison_table.beside(head, rows)
    words = (
        "Of the three readings, “{reading}” is nearest to the paper's column, judged by the figure that is "
        "farthest from it."
    )
    st.caption(say(words, reading=say(names[figures["variant"]])))


def _row(name: str, result: dict[str, Any], variant: str) -> list[Any]:

    net = result["figures"]["nets"][name]
    found = net["distortion"][variant]["mean"]
    examples = net["examples"].get(variant, net["examples"]["random"])
    href = layout.playground_url(name, layout.example(result, "train", examples), examples["target"][0])
    return [
        net["title"],
        cell(net["train"], scale=100, unit=" %", **_paper(net["published_train"])),
        cell(net["test"], scale=100, unit=" %", **_paper(net["published_test"])),
        cell(found, href=href, **_paper(net["published"], scale=1)),
    ]


def _paper(published: dict[str, Any] | None, scale: float = 0.01) -> dict[str, Any]:
    """Return the facts of a cell that hold the paper's number; its errors are in per cent."""
    if published is None:
        return {}
    return {"published": published["value"] * scale, "recalled": published["recalled"]}
