"""LeNet with weak and with strong weight decay."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Tilting boundary", 250
URL = "https://arxiv.org/abs/1806.11186"
NAMES = {"lenet_low": "weak decay", "lenet_high": "strong decay"}
LAYERS = {"conv1": "first convolution", "conv2": "second convolution", "fc1": "first full layer"}


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts

    with lesson.page("lenet_decay") as said:
        result = trial.result("lenet", "Change other digits here", draws=1, seed=_next())
        st.session_state["lenet_decay.seed"] = result["seed"]
        networks = result["figures"]["networks"]
        head = ["Network", "Test error", "Mean length of the changes", "Temperature"]
        verdicts.beside(head, [_row(name, each) for name, each in networks.items()])
        st.markdown(said["errors"])
        alt = "Training and test error of both networks, by pass."
        plots.lines(_errors(networks), "passes", "error", alt=alt, key="lenet.errors", percent=True)
        st.markdown(said["filters"])
        _filters(networks)
        st.markdown(said["changes"])
        for name, each in networks.items():
            st.markdown(f"**{NAMES[name].capitalize()}**")
            _changes(name, each["changes"]["shown"])
        digit = st.select_slider(said["curve"], list(range(10)), key="lenet_decay.digit")
        alt = f"Probability of {(digit + 1) % 10} on the way from a {digit}, for both networks."
        plots.lines(
            _curves(networks, digit), "steps", "probability", alt=alt, key="lenet.curve", percent=True
        )
        verdicts.claims(result["claims"])
        lesson.source("Tanay & Griffin 2018, the section on LeNet", URL)


def _next() -> int:
    return int(st.session_state.get("lenet_decay.seed", 0)) + 1


def _row(name: str, each: dict[str, Any]) -> list[Any]:
    from components.verdicts import Cell, cell

    theirs = each["changes"]["published"]["lengths"]
    mean = cell(each["changes"]["mean"], published=sum(theirs) / len(theirs))
    error = cell(each["test_error"], published=each["published_test_error"], scale=100, unit=" %")
    return [NAMES[name].capitalize(), error, mean, Cell(each["temperature"])]


def _errors(networks: dict[str, Any]) -> list[Any]:
    from components.plots import Series

    return [
        Series(f"{NAMES[name]}, {part}", _passes(each), each["curves"][part], dash=dash, colour=colour)
        for colour, (name, each) in enumerate(networks.items())
        for part, dash in (("train", "dot"), ("test", "solid"))
    ]


def _passes(each: dict[str, Any]) -> list[int]:
    return list(range(1, len(each["curves"]["train"]) + 1))


def _filters(networks: dict[str, Any]) -> None:
    style = "<style>.filters img { width: 100%; image-rendering: pixelated; }</style>"
    for side, (name, each) in zip(st.columns(2, gap="large"), networks.items(), strict=True):
        with side:
            st.markdown(f"**{NAMES[name].capitalize()}**")
            for key, words in LAYERS.items():
                layer = each["layers"][key]
                alt = f"Filters of the {words} with {NAMES[name]}"
                image = f'<img alt="{alt}" src="data:image/png;base64,{layer["sheet"]}">'
                st.html(f'{style}<div class="filters">{image}</div>')
                paper = layer["published_rms"]
                st.caption(f"{words}: root mean square {layer['rms']:.2g} (published {paper:g})")


def _changes(name: str, shown: list[dict[str, Any]]) -> None:
    from components import lesson
    from components.tiles import Tile, tiles

    rows: list[list[Tile | str]] = [[], [], []]
    for each in shown:
        pair = f"{each['digit']} to {each['target']}"
        href = lesson.digit(name, f"digit:test:{each['row']}", each["target"], attack="towards")
        rows[0].append(Tile(each["original"], f"The {each['digit']} as it is", pair))
        rows[1].append(Tile(each["changed"], f"Changed from {pair}", f"{each['score']:.0%}"))
        rows[2].append(Tile(each["change"], f"The change from {pair}", f"{each['length']:.2g}", href))
    tiles(rows)


def _curves(networks: dict[str, Any], digit: int) -> list[Any]:
    from components.plots import Series

    found = []
    for name, each in networks.items():
        curve = each["changes"]["shown"][digit]["curve"]
        found.append(Series(NAMES[name], [row[0] for row in curve], [row[2] for row in curve]))
    return found
