"""Random changes as large as the adversarial one."""

from __future__ import annotations

import streamlit as st

from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.szegedy2013.rarity import NetworkRarity, Rarity
from models import card


def render() -> None:
    """Draw the lesson."""
    with layout.page("rarity") as prose:
        with layout.part():
            settings = {"n": 10, "draws": 500, "lines": 2, "seed": _next()}
            result = experiment_panel.result(Rarity, say("Throw the dice again"), **settings)
            st.session_state.rarity_seed = result.seed
            networks = result.figures.networks
            _dice(networks)
        with layout.part():
            st.markdown(prose("curves"))
            _walk(result.figures.curve, networks)
        with layout.part():
            st.markdown(prose("farther"))
            _farther(networks)
        with layout.part():
            st.markdown(prose("nearest"))
            _nearest(networks)
            comparison_table.claims(result.claims)
            layout.source(say("Szegedy et al. 2013, section 4"), "https://arxiv.org/abs/1312.6199")


def _next() -> int:
    return int(st.session_state.get("rarity_seed", 0)) + 1


def _dice(networks: dict[str, NetworkRarity]) -> None:
    """Show how many random changes as large as the smallest that fools fool as well."""
    rows: list[list[str | Cell]] = []
    for name, network in networks.items():
        share = network.flips.full.share
        fool = cell(share, scale=100, unit=" %", digits=2)
        rows.append([card(name).title, cell(network.length), f"{share.n:,}", fool])
    head = [say("Network"), say("Smallest change that fools (l2)"), say("Random changes of that size")]
    comparison_table.beside([*head, say("of which fool")], rows)


def _walk(distance: list[float], networks: dict[str, NetworkRarity]) -> None:
    """Let the reader choose a network; draw how sure it stays on both walks."""
    name = st.segmented_control(
        say("Network"), list(networks), format_func=lambda n: card(n).title, default=next(iter(networks)),
        key="rarity.network", required=True,
    )  # fmt: skip
    probability = networks[str(name)].probability
    curves = {say("towards the example"): probability.adversarial, say("at random"): probability.random}
    series = [
        charts.Series(title, distance, curve.median, curve.low, curve.high, colour=1 - index)
        for index, (title, curve) in enumerate(curves.items())
    ]
    words = "How sure {network} is of the right digit: half of all pictures lie in the band."
    axes = say("distance, in units of the adversarial change"), say("probability of the right digit")
    alt = say(words, network=card(str(name)).title)
    charts.lines(series, *axes, alt=alt, key="rarity", percent=True, marker=1.0)


def _farther(networks: dict[str, NetworkRarity]) -> None:
    """Show how much farther the boundary is at random."""
    rows: list[list[str | Cell]] = []
    for name, network in networks.items():
        boxed, ratio = network.farther.boxed, cell(network.farther.open.ratio)
        never = say("{count} of {total}", count=boxed.never, total=boxed.lines)
        rows.append([card(name).title, ratio, Cell(network.flat), never])
    head = [say("Network"), say("Times farther"), say("Were it flat")]
    comparison_table.beside([*head, say("Never, in the pictures' range")], rows)


def _nearest(networks: dict[str, NetworkRarity]) -> None:
    """Show what an adversarial example is near to."""
    rows: list[list[str | Cell]] = []
    for name, network in networks.items():
        training = network.training
        if training:
            nearer = say("{count} of {total}", count=training.nearer, total=training.n)
            rows.append([card(name).title, cell(network.length), cell(training.nearest), nearer])
    head = [say("Network"), say("To its own digit"), say("To the nearest training digit")]
    comparison_table.beside([*head, say("The latter nearer")], rows)
