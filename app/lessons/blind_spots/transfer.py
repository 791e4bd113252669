"""Tables 2 to 4: pictures made for one network, shown to others."""

from __future__ import annotations

from typing import Any

import streamlit as st

from components.display import comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout

URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    with layout.page("transfer") as said:
        with layout.part():
            result = experiment_panel.result("table2", say("Measure it here, on 50 digits"), n=50)
            figures = result["figures"]
            _table(result)
            layout.openable(result, said["press"])
        with layout.part():
            st.markdown(said["noise"])
            _noisy(figures)
        with layout.part():
            st.markdown(said["excess"])
            head = [say("Network"), say("Clean"), say("Over it"), say("Over noise")]
            comparison_table.beside(head, [_over(name, figures) for name in figures["nets"]])
            comparison_table.claims(result["claims"])
        with layout.part():
            st.markdown(said["halves"])
            _halves()
            layout.source(say("Szegedy et al. 2013, tables 2 to 4"), URL)


def _table(result: dict[str, Any]) -> None:
    """Show the errors of each network on what was made for each."""
    figures = result["figures"]
    nets, rows = figures["nets"], figures["rows"][figures["variant"]]
    clean = _line(say("Clean digits"), figures["clean"], nets)
    table = [_made(name, rows[name], result, rows[name]["distortion"]) for name in nets]
    head = [say("Made for ↓, shown to →"), *nets.values(), say("Change")]
    comparison_table.beside(head, [*table, [*clean, ""]])


def _noisy(figures: dict[str, Any]) -> None:
    """Show the errors of each network on noise."""
    nets, rows = figures["nets"], figures["rows"][figures["variant"]]
    noise = _noise(figures["gaussian"], nets)
    own = [_line(say("As large as for {network}", network=nets[n]), rows[n]["noise"], nets) for n in nets]
    comparison_table.beside([say("Noise ↓, shown to →"), *nets.values()], [*noise, *own])
    st.caption(say(figures["gaussian_why"]))


def _halves() -> None:
    """Show what was made for a network that saw one half of the digits to one that saw the other."""
    result = experiment_panel.result("table4", say("Measure the halves here, on 50 digits"), n=50)
    figures, nets = result["figures"], result["figures"]["nets"]
    places = ["first half", "second half", "test", "distortion"]
    third = [[nets[n], *(_error(figures["table3"][n], place) for place in places)] for n in nets]
    words = say("Network"), say("Error on first half"), say("On second half"), say("On test set")
    comparison_table.beside([*words, say("Change")], third)
    head = [say("Made for ↓, shown to →"), *nets.values(), say("Change")]
    comparison_table.beside(head, _both(result))
    layout.openable(result)
    st.caption(say(figures["formula"]))
    comparison_table.claims(result["claims"])


def _both(result: dict[str, Any]) -> list[list[Any]]:
    """Return the rows of changes of their own size and of larger ones, of noise, and of clean digits."""
    figures, nets = result["figures"], result["figures"]["nets"]
    rows, sizes = figures["rows"], {n: figures["table3"][n]["distortion"] for n in nets}
    own = [_made(n, rows[n], result, sizes[n], "own size") for n in nets]
    cut = "amplified distortion after cutting"
    large = [_made(n, rows[n], result, rows[n][cut], "amplified")[1:] for n in nets]
    large = [[say("{network}, amplified", network=nets[n]), *row] for n, row in zip(nets, large, strict=True)]
    noise = [[*line, ""] for line in _noise(figures["gaussian"], nets)]
    return [*own, *large, *noise, [*_line(say("Clean digits"), figures["clean"], nets), ""]]


def _made(
    name: str, row: dict[str, Any], result: dict[str, Any], size: Any, block: str = "cells"
) -> list[Any]:
    """Return a row of a transfer table; a cell opens its digit, attacked on the row's network."""
    examples, cells, nets = row["examples"], row[block], result["figures"]["nets"]
    image = layout.example(result, "train" if block == "cells" else "test", examples)
    target = examples["target"][0]
    links = {v: layout.playground_url(name, image, target, witness=v if v != name else None) for v in nets}
    found = [_share(cells[v], link) for v, link in links.items()]
    return [nets[name], *found, cell(size) if isinstance(size, dict) else Cell(size)]


def _line(name: str, cells: dict[str, Any], nets: dict[str, str]) -> list[Any]:
    return [name, *(_share(cells[net]) for net in nets)]


def _noise(kinds: dict[str, Any], nets: dict[str, str]) -> list[list[Any]]:
    """Return rows of noise that was not cut to [0, 1], and of noise that was."""
    words = {"uncut": say("not cut"), "cut": say("cut to [0, 1]")}
    return [
        _line(say("Deviation {size}, {kind}", size=size, kind=words[kind]), cells, nets)
        for kind, block in kinds.items()
        for size, cells in block.items()
    ]


def _error(row: dict[str, Any], place: str) -> Any:

    if place != "distortion":
        return _share(row[place])
    paper = row[place]["published"]
    return cell(row[place], published=paper["value"], recalled=paper["recalled"])


def _share(found: dict[str, Any], href: str = "") -> Any:

    paper = found.get("published") or {"value": None, "recalled": False}
    published = None if paper["value"] is None else paper["value"] / 100
    bounds = (found["low"], found["high"])
    return Cell(found["value"], *bounds, published, paper["recalled"], href, scale=100, unit=" %")


def _over(name: str, figures: dict[str, Any]) -> list[Any]:
    """Return a network's clean error, and what the other rows add to it and to noise of their size."""
    rows = figures["rows"][figures["variant"]]
    others = [row for other, row in rows.items() if other != name]
    over = sum(row["cells"][name]["excess"] for row in others) / len(others)
    beyond = sum(row["cells"][name]["value"] - row["noise"][name]["value"] for row in others) / len(others)
    points: dict[str, Any] = {"scale": 100, "unit": f" {say('points')}", "digits": 2}
    clean = _share(figures["clean"][name])
    return [figures["nets"][name], clean, Cell(over, **points), Cell(beyond, **points)]
