"""Single units against random directions."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Blind spots", 160
SHOWN = {"units": "Single units", "directions": "Random mixtures"}
NAMES = {"units": "single units", "directions": "mixtures", "scaled": "mixtures of scaled units"}


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts
    from experiments.grid import DIGIT_NETWORKS
    from models import card

    with lesson.page("units") as said:
        first = DIGIT_NETWORKS.index("lenet")
        model = st.selectbox("Network", DIGIT_NETWORKS, first, lambda m: card(m).title, key="units.model")
        settings = {"n": 1000, "units": 100, "directions": 200, "shuffles": 200}
        result = trial.result("units", "Compute it on 1,000 digits", model=model, **settings)
        figures = result["figures"]
        sides = st.columns(2, gap="large")
        for side, (family, title) in zip(sides, SHOWN.items(), strict=True):
            with side:
                st.subheader(title, anchor=False)
                _strips(figures["families"][family]["shown"], title)
        st.markdown(said["purity"])
        verdicts.beside(["Rows of eight", "Share of the most frequent label", "By chance"], _rows(figures))
        labels = [f"{count} of {figures['k']}" for count in range(1, figures["k"] + 1)]
        groups = {NAMES[key]: _shares(each) for key, each in figures["families"].items()}
        alt = "How many rows have so many pictures of one label, for units and for mixtures."
        plots.bars(groups, labels, "of one label", "rows", percent=True, alt=alt, key="purity")
        st.markdown(said["rotation"])
        turned = figures["rotation"]
        st.markdown(
            f"Largest difference of any output: **{turned['logits']:.1g}**. Pictures among the eight of the "
            f"old unit and of the new one: **{turned['common']['value']:.1%}** "
            f"(by chance {turned['by_chance']:.1%})."
        )
        verdicts.claims(result["claims"])
        lesson.source("Szegedy et al. 2013, section 3, figures 1 to 4", "https://arxiv.org/abs/1312.6199")


def _strips(shown: list[dict[str, Any]], title: str) -> None:
    rows = "".join(
        f'<img src="data:image/png;base64,{each["png"]}" alt="{title[:-1]} {each["name"]}: pictures of '
        f'{", ".join(map(str, each["labels"]))}">'
        for each in shown
    )
    style = "width: 100%; image-rendering: pixelated; display: block; margin-bottom: 4px"
    st.html(f"<style>.strips img {{ {style} }}</style><div class='strips'>{rows}</div>")


def _shares(family: dict[str, Any]) -> list[float]:
    return [count / family["count"] for count in family["histogram"]]


def _rows(figures: dict[str, Any]) -> list[list[Any]]:
    from components.verdicts import cell

    return [
        [
            f"{NAMES[key]} ({each['count']})",
            cell(each["purity"], scale=100, unit=" %"),
            cell(each["chance"], scale=100, unit=" %"),
        ]
        for key, each in figures["families"].items()
    ]
