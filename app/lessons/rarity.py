"""Random changes as large as the adversarial one."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Blind spots", 150


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts
    from models import card

    with lesson.page("rarity") as said:
        result = trial.result("rarity", "Throw the dice again", n=10, draws=500, lines=2, seed=_next())
        st.session_state["rarity.seed"] = result["seed"]
        figures, networks = result["figures"], result["figures"]["networks"]
        head = ["Network", "Smallest change that fools (l2)", "Random changes of that size", "of which fool"]
        verdicts.beside(head, [_dice(card(name).title, each) for name, each in networks.items()])
        st.markdown(said["curves"])
        name = st.segmented_control(
            "Network", list(networks), format_func=lambda n: card(n).title, default=next(iter(networks)),
            key="rarity.network", required=True,
        )  # fmt: skip
        alt = f"How sure {card(str(name)).title} is of the right digit: half of all pictures lie in the band."
        series = _curves(figures["curve"], networks[name]["probability"])
        axes = ("distance, in units of the adversarial change", "probability of the right digit")
        plots.lines(series, *axes, alt=alt, key="rarity", percent=True, marker=1.0)
        st.markdown(said["farther"])
        head = ["Network", "Times farther", "Were it flat", "Never, in the pictures' range"]
        verdicts.beside(head, [_farther(card(name).title, each) for name, each in networks.items()])
        st.markdown(said["nearest"])
        head = ["Network", "To its own digit", "To the nearest training digit", "The latter nearer"]
        verdicts.beside(head, [_nearest(card(name).title, each) for name, each in networks.items()])
        verdicts.claims(result["claims"])
        lesson.source("Szegedy et al. 2013, section 4", "https://arxiv.org/abs/1312.6199")


def _next() -> int:
    return int(st.session_state.get("rarity.seed", 0)) + 1


def _dice(title: str, each: dict[str, Any]) -> list[Any]:
    from components.verdicts import cell

    full = each["flips"]["full"]
    share = cell(full["share"], scale=100, unit=" %", digits=2)
    return [title, cell(each["length"]), f"{full['share']['n']:,}", share]


def _curves(distance: list[float], probability: dict[str, Any]) -> list[Any]:
    from components.plots import Series

    names = {"adversarial": "towards the example", "random": "at random"}
    return [
        Series(names[key], distance, each["median"], each["low"], each["high"], colour=1 - index)
        for index, (key, each) in enumerate(probability.items())
    ]


def _farther(title: str, each: dict[str, Any]) -> list[Any]:
    from components.verdicts import Cell, cell

    boxed = each["farther"]["boxed"]
    never = f"{boxed['never']} of {boxed['lines']}"
    return [title, cell(each["farther"]["open"]["ratio"]), Cell(each["flat"]), never]


def _nearest(title: str, each: dict[str, Any]) -> list[Any]:
    from components.verdicts import cell

    training = each["training"]
    return [
        title,
        cell(each["length"]),
        cell(training["nearest"]),
        f"{training['nearer']} of {training['n']}",
    ]
