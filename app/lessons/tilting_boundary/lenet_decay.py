"""LeNet with weak and with strong weight decay."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.lessons.tilting_boundary import ascent_panels
from components.display import charts, comparison_table
from components.display.comparison_table import Cell, cell
from components.display.image_grid import Tile, tiles
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.datasets.digit_sets import digit_name, source_of

URL = "https://arxiv.org/abs/1806.11186"


def render() -> None:
    """Draw the lesson."""
    with layout.page("lenet_decay") as said:
        with layout.part():
            result = experiment_panel.result("lenet", say("Change other digits here"), draws=1, seed=_next())
            st.session_state["lenet_decay.seed"] = result["seed"]
            networks = result["figures"]["networks"]
            _errors(networks, said["errors"])
        with layout.part():
            st.markdown(said["filters"])
            _filters(networks)
        with layout.part():
            st.markdown(said["changes"])
            for name, each in networks.items():
                st.markdown(f"**{_name(name)}**")
                _changes(name, each["changes"]["shown"], source_of(result))
        with layout.part():
            names = {name: _name(name) for name in networks}
            ascent_panels.race(result, names, said["press"], said["curve"], "lenet_decay")
            comparison_table.claims(result["claims"], folded=True)
            layout.source(say("Tanay & Griffin 2018, the section on LeNet"), URL)


def _name(network: str) -> str:
    return {"lenet_low": say("Weak decay"), "lenet_high": say("Strong decay")}[network]


def _next() -> int:
    return int(st.session_state.get("lenet_decay.seed", 0)) + 1


def _errors(networks: dict[str, Any], words: str) -> None:
    """Show what each network ended with, and the errors on the way there."""
    head = [say("Network"), say("Test error"), say("Mean length of the changes"), say("Temperature")]
    comparison_table.beside(head, [_row(name, each) for name, each in networks.items()])
    st.markdown(words)
    kinds = (("train", say("training"), "dot"), ("test", say("test"), "solid"))
    series = [
        charts.Series(f"{_name(name)}, {kind}", _passes(each), each["curves"][part], dash=dash, colour=colour)
        for colour, (name, each) in enumerate(networks.items())
        for part, kind, dash in kinds
    ]
    alt = say("Training and test error of both networks, by pass.")
    charts.lines(series, say("passes"), say("error"), alt=alt, key="lenet.errors", percent=True, height=240)


def _row(name: str, each: dict[str, Any]) -> list[Any]:

    theirs = each["changes"]["published"]["lengths"]
    mean = cell(each["changes"]["mean"], published=sum(theirs) / len(theirs))
    error = cell(each["test_error"], published=each["published_test_error"], scale=100, unit=" %")
    return [_name(name), error, mean, Cell(each["temperature"])]


def _passes(each: dict[str, Any]) -> list[int]:
    return list(range(1, len(each["curves"]["train"]) + 1))


def _filters(networks: dict[str, Any]) -> None:
    layers = {
        "conv1": say("first convolution"),
        "conv2": say("second convolution"),
        "fc1": say("first full layer"),
    }
    for side, (name, each) in zip(st.columns(2, gap="large"), networks.items(), strict=True):
        with side:
            st.markdown(f"**{_name(name)}**")
            for key, words in layers.items():
                _sheet(each["layers"][key], words, _name(name))


def _sheet(layer: dict[str, Any], words: str, network: str) -> None:
    """Show the filters of one layer, and how large its weights are."""
    alt = say("Filters: {network}, {layer}", network=network, layer=words)
    image = f'<img alt="{alt}" src="data:image/png;base64,{layer["sheet"]}">'
    st.html(f'<div class="filters">{image}</div>')
    facts = {"layer": words, "rms": f"{layer['rms']:.2g}", "paper": f"{layer['published_rms']:g}"}
    st.caption(say("{layer}: root mean square {rms} (published {paper})", **facts))


def _changes(name: str, shown: list[dict[str, Any]], source: str) -> None:

    rows: list[list[Tile | str]] = [[], [], []]
    for each in shown:
        pair = {"digit": each["digit"], "target": each["target"]}
        image = digit_name(source, "test", each["row"])
        href = layout.playground_url(name, image, each["target"], attack="towards")
        words = say("The {digit} as it is", **pair), say("The {digit}, changed into a {target}", **pair)
        own, changed = (Tile(each[key], alt) for key, alt in zip(("original", "changed"), words, strict=True))
        rows[0].append(own._replace(caption=f"{each['digit']} → {each['target']}"))
        rows[1].append(changed._replace(caption=f"{each['score']:.0%}"))
        alt = say("The change from {digit} to {target}", **pair)
        rows[2].append(Tile(each["change"], alt, f"{each['length']:.2g}", href))
    tiles(rows)
