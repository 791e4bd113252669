"""Table 1: six networks, their errors, and the smallest change that fools them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Blind spots", 120
URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts

    with lesson.page("smallest") as said:
        result = trial.result("table1", "Measure it here, on 50 digits", n=50)
        figures = result["figures"]
        names = figures["variants"]
        variant = st.segmented_control(
            "Which wrong answer", list(names), format_func=lambda v: names[v], default=figures["variant"],
            key=f"smallest.{result['n']}", required=True,
        )  # fmt: skip
        head = ["Network", "Training error", "Test error", "Smallest change"]
        verdicts.beside(head, [_row(name, net, str(variant)) for name, net in figures["nets"].items()])
        st.caption(said["press"])
        whys = {net["title"]: net["why"] for net in figures["nets"].values() if net.get("why")}
        for title, why in whys.items():
            st.markdown(f"**{title}** is farther than a fifth from the paper's. {why}")
        st.markdown(said["reading"])
        readings = [[names[v], verdicts.Cell(away)] for v, away in figures["away"].items()]
        verdicts.beside(["Aim", "Farthest from the paper (logarithm of the ratio)"], readings)
        st.caption(figures["variant_why"])
        verdicts.claims(result["claims"])
        st.subheader("The networks", anchor=False)
        st.markdown(said["nets"])
        nets = trial.shipped("digit_nets")
        verdicts.claims(nets["claims"])
        lesson.source("Szegedy et al. 2013, table 1", URL)


def _row(name: str, net: dict[str, Any], variant: str) -> list[Any]:
    from components import lesson
    from components.verdicts import cell

    found = net["distortion"][variant]["mean"]
    examples = net["examples"].get(variant, net["examples"]["random"])
    href = lesson.digit(name, f"digit:train:{examples['place'][0]}", examples["target"][0])
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
