"""Tables 2 to 4: pictures made for one network, shown to others."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake
from components.text import say

LAB, ORDER = "Blind spots", 130
URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts
    from experiments.data import source_of

    with lesson.page("transfer") as said:
        with lesson.part():
            result = trial.result("table2", say("Measure it here, on 50 digits"), n=50)
            figures = result["figures"]
            _table(figures, source_of(result))
            st.caption(said["press"])
            lesson.stand_ins(source_of(result))
        with lesson.part():
            st.markdown(said["noise"])
            _noisy(figures)
        with lesson.part():
            st.markdown(said["excess"])
            head = [say("Network"), say("Clean"), say("Over it"), say("Over noise")]
            verdicts.beside(head, [_over(name, figures) for name in figures["nets"]])
            verdicts.claims(result["claims"])
        with lesson.part():
            st.markdown(said["halves"])
            _halves()
            lesson.source(say("Szegedy et al. 2013, tables 2 to 4"), URL)


def _table(figures: dict[str, Any], source: str) -> None:
    """Show the errors of each network on what was made for each."""
    from components import verdicts

    nets, rows = figures["nets"], figures["rows"][figures["variant"]]
    clean = _line(say("Clean digits"), figures["clean"], nets)
    table = [_made(name, rows[name], nets, rows[name]["distortion"], source) for name in nets]
    head = [say("Made for ↓, shown to →"), *nets.values(), say("Change")]
    verdicts.beside(head, [*table, [*clean, ""]])


def _noisy(figures: dict[str, Any]) -> None:
    """Show the errors of each network on noise."""
    from components import verdicts

    nets, rows = figures["nets"], figures["rows"][figures["variant"]]
    noise = _noise(figures["gaussian"], nets)
    own = [_line(say("As large as for {network}", network=nets[n]), rows[n]["noise"], nets) for n in nets]
    verdicts.beside([say("Noise ↓, shown to →"), *nets.values()], [*noise, *own])
    st.caption(say(figures["gaussian_why"]))


def _halves() -> None:
    """Show what was made for a network that saw one half of the digits to one that saw the other."""
    from components import lesson, trial, verdicts
    from experiments.data import source_of

    result = trial.result("table4", say("Measure the halves here, on 50 digits"), n=50)
    figures, nets = result["figures"], result["figures"]["nets"]
    places = ["first half", "second half", "test", "distortion"]
    third = [[nets[n], *(_error(figures["table3"][n], place) for place in places)] for n in nets]
    words = say("Network"), say("Error on first half"), say("On second half"), say("On test set")
    verdicts.beside([*words, say("Change")], third)
    head = [say("Made for ↓, shown to →"), *nets.values(), say("Change")]
    verdicts.beside(head, _both(figures, nets, source_of(result)))
    lesson.stand_ins(source_of(result))
    st.caption(say(figures["formula"]))
    verdicts.claims(result["claims"])


def _both(figures: dict[str, Any], nets: dict[str, str], source: str) -> list[list[Any]]:
    """Return the rows of changes of their own size and of larger ones, of noise, and of clean digits."""
    rows, sizes = figures["rows"], {n: figures["table3"][n]["distortion"] for n in nets}
    own = [_made(n, rows[n], nets, sizes[n], source, "own size", "test") for n in nets]
    cut = "amplified distortion after cutting"
    large = [_made(n, rows[n], nets, rows[n][cut], source, "amplified", "test") for n in nets]
    for row in large:
        row[0] = say("{network}, amplified", network=row[0])
    noise = [[*line, ""] for line in _noise(figures["gaussian"], nets)]
    return [*own, *large, *noise, [*_line(say("Clean digits"), figures["clean"], nets), ""]]


def _made(
    name: str,
    row: dict[str, Any],
    nets: dict[str, str],
    size: Any,
    source: str,
    block: str = "cells",
    part: str = "train",
) -> list[Any]:
    """Return a row of a transfer table; a cell opens its digit, attacked on the row's network."""
    from components import lesson
    from components.verdicts import Cell, cell

    examples, cells = row["examples"], row[block]
    image, target = lesson.example(source, part, examples), examples["target"][0]
    found = [
        _share(cells[v], lesson.digit(name, image, target, witness=v if v != name else None)) for v in nets
    ]
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
    from components.verdicts import cell

    if place != "distortion":
        return _share(row[place])
    paper = row[place]["published"]
    return cell(row[place], published=paper["value"], recalled=paper["recalled"])


def _share(found: dict[str, Any], href: str = "") -> Any:
    from components.verdicts import Cell

    paper = found.get("published") or {"value": None, "recalled": False}
    published = None if paper["value"] is None else paper["value"] / 100
    bounds = (found["low"], found["high"])
    return Cell(found["value"], *bounds, published, paper["recalled"], href, scale=100, unit=" %")


def _over(name: str, figures: dict[str, Any]) -> list[Any]:
    """Return a network's clean error, and what the other rows add to it and to noise of their size."""
    from components.verdicts import Cell

    rows = figures["rows"][figures["variant"]]
    others = [row for other, row in rows.items() if other != name]
    over = sum(row["cells"][name]["excess"] for row in others) / len(others)
    beyond = sum(row["cells"][name]["value"] - row["noise"][name]["value"] for row in others) / len(others)
    points: dict[str, Any] = {"scale": 100, "unit": f" {say('points')}", "digits": 2}
    clean = _share(figures["clean"][name])
    return [figures["nets"][name], clean, Cell(over, **points), Cell(beyond, **points)]
