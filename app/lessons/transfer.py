"""Tables 2 to 4: pictures made for one network, shown to others."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Blind spots", 130
URL = "https://arxiv.org/abs/1312.6199"


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts

    with lesson.page("transfer") as said:
        result = trial.result("table2", "Measure it here, on 50 digits", n=50)
        figures = result["figures"]
        nets, rows = figures["nets"], figures["rows"][figures["variant"]]
        head = ["Made for ↓, shown to →", *nets.values(), "Change"]
        clean = _line("Clean digits", figures["clean"], nets)
        table = [_made(name, rows[name], nets, rows[name]["distortion"]) for name in nets]
        verdicts.beside(head, [*table, [*clean, ""]])
        st.caption(said["press"])
        st.markdown(said["noise"])
        noise = _noise(figures["gaussian"], nets)
        own = [_line(f"As large as for {nets[n]}", rows[n]["noise"], nets) for n in nets]
        verdicts.beside(["Noise ↓, shown to →", *nets.values()], [*noise, *own])
        st.caption(figures["gaussian_why"])
        st.markdown(said["excess"])
        verdicts.beside(["Network", "Clean", "Over it", "Over noise"], [_over(n, figures) for n in nets])
        verdicts.claims(result["claims"])
        st.subheader("Other training pictures", anchor=False)
        st.markdown(said["halves"])
        _halves()
        lesson.source("Szegedy et al. 2013, tables 2 to 4", URL)


def _halves() -> None:
    from components import trial, verdicts

    result = trial.result("table4", "Measure the halves here, on 50 digits", n=50)
    figures = result["figures"]
    nets = figures["nets"]
    rows, sizes = figures["rows"], {n: figures["table3"][n]["distortion"] for n in nets}
    own = [_made(n, rows[n], nets, sizes[n], "own size", "test") for n in nets]
    cut = "amplified distortion after cutting"
    large = [_made(n, rows[n], nets, rows[n][cut], "amplified", "test") for n in nets]
    for row in large:
        row[0] = f"{row[0]}, amplified"
    noise = [[*line, ""] for line in _noise(figures["gaussian"], nets)]
    clean = [*_line("Clean digits", figures["clean"], nets), ""]
    places = ["first half", "second half", "test", "distortion"]
    third = [[nets[n], *(_error(figures["table3"][n], place) for place in places)] for n in nets]
    verdicts.beside(["Network", "Error on first half", "On second half", "On test set", "Change"], third)
    verdicts.beside(["Made for ↓, shown to →", *nets.values(), "Change"], [*own, *large, *noise, clean])
    st.caption(figures["formula"])
    verdicts.claims(result["claims"])


def _made(
    name: str,
    row: dict[str, Any],
    nets: dict[str, str],
    size: Any,
    block: str = "cells",
    part: str = "train",
) -> list[Any]:
    """Return a row of a transfer table; a cell opens its digit, attacked on the row's network."""
    from components import lesson
    from components.verdicts import Cell, cell

    examples, cells = row["examples"], row[block]
    image, target = f"digit:{part}:{examples['place'][0]}", examples["target"][0]
    found = [
        _share(cells[v], lesson.digit(name, image, target, witness=v if v != name else None)) for v in nets
    ]
    return [nets[name], *found, cell(size) if isinstance(size, dict) else Cell(size)]


def _line(name: str, cells: dict[str, Any], nets: dict[str, str]) -> list[Any]:
    return [name, *(_share(cells[net]) for net in nets)]


def _noise(kinds: dict[str, Any], nets: dict[str, str]) -> list[list[Any]]:
    """Return rows of noise that was not cut to [0, 1], and of noise that was."""
    words = {"uncut": "not cut", "cut": "cut to [0, 1]"}
    return [
        _line(f"Deviation {size}, {words[kind]}", cells, nets)
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
    points: dict[str, Any] = {"scale": 100, "unit": " points", "digits": 2}
    clean = _share(figures["clean"][name])
    return [figures["nets"][name], clean, Cell(over, **points), Cell(beyond, **points)]
