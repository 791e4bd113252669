"""Tables 2 to 4: pictures made for one network, shown to others."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from components.display import comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from engine.intervals import Estimate
from experiments.core import Published, Result
from experiments.methods.lbfgs_examples import Examples
from experiments.szegedy2013 import transfer
from experiments.szegedy2013.table2 import Interval, Table2, Table2Figures
from experiments.szegedy2013.table4 import Table3Row, Table4, Table4Figures
from experiments.szegedy2013.transfer import CUT, UNCUT

URL = "https://arxiv.org/abs/1312.6199"
Line = list[str | Cell]
"""A row of a table: what it is called, then numbers."""


def render() -> None:
    """Draw the lesson."""
    with layout.page("transfer") as prose:
        with layout.part():
            result = experiment_panel.result(Table2, say("Measure it here, on 50 digits"), n=50)
            figures = result.figures
            _table(result)
            layout.openable(result.data, prose("press"))
        with layout.part():
            st.markdown(prose("noise"))
            _noisy(figures)
        with layout.part():
            st.markdown(prose("excess"))
            head = [say("Network"), say("Clean"), say("Over it"), say("Over noise")]
            comparison_table.beside(head, [_over(name, figures) for name in figures.nets])
            comparison_table.claims(result.claims)
        with layout.part():
            st.markdown(prose("halves"))
            _halves()
            layout.source(say("Szegedy et al. 2013, tables 2 to 4"), URL)


def _table(result: Result[Table2Figures]) -> None:
    """Show the errors of each network on what was made for each."""
    figures = result.figures
    nets, rows = figures.nets, figures.rows[figures.variant]
    clean = _line(say("Clean digits"), figures.clean, nets)
    table: list[Line] = []
    for name in nets:
        image = _image(rows[name].examples, "train", result.data)
        shown = _made(name, rows[name].cells, image, rows[name].examples)
        table.append([nets[name], *shown, Cell(rows[name].distortion)])
    head = [say("Made for ↓, shown to →"), *nets.values(), say("Change")]
    comparison_table.beside(head, [*table, [*clean, ""]])


def _noisy(figures: Table2Figures) -> None:
    """Show the errors of each network on noise."""
    nets, rows = figures.nets, figures.rows[figures.variant]
    noise = _noise(figures.gaussian, nets)
    own = [_line(say("As large as for {network}", network=nets[n]), rows[n].noise, nets) for n in nets]
    comparison_table.beside([say("Noise ↓, shown to →"), *nets.values()], [*noise, *own])
    st.caption(say(figures.gaussian_why))


def _halves() -> None:
    """Show what was made for a network that saw one half of the digits to one that saw the other."""
    result = experiment_panel.result(Table4, say("Measure the halves here, on 50 digits"), n=50)
    figures, nets = result.figures, result.figures.nets
    words = say("Network"), say("Error on first half"), say("On second half"), say("On test set")
    third = [_third(nets[name], figures.table3[name]) for name in nets]
    comparison_table.beside([*words, say("Change")], third)
    head = [say("Made for ↓, shown to →"), *nets.values(), say("Change")]
    comparison_table.beside(head, _both(result))
    layout.openable(result.data)
    st.caption(say(figures.formula))
    comparison_table.claims(result.claims)


def _both(result: Result[Table4Figures]) -> list[Line]:
    """Return the rows of changes of their own size and of larger ones, of noise, and of clean digits."""
    figures, nets = result.figures, result.figures.nets
    own: list[Line] = []
    large: list[Line] = []
    for name in nets:
        row = figures.rows[name]
        image = _image(row.examples, "test", result.data)
        size = cell(figures.table3[name].distortion)
        own.append([nets[name], *_made(name, row.own_size, image, row.examples), size])
        words = say("{network}, amplified", network=nets[name])
        large.append([words, *_made(name, row.amplified, image, row.examples), Cell(row.cut)])
    noise: list[Line] = [[*line, ""] for line in _noise(figures.gaussian, nets)]
    return [*own, *large, *noise, [*_line(say("Clean digits"), figures.clean, nets), ""]]


def _image(examples: Examples, part: str, data: object) -> str:
    """Return the first of a row's examples as an image to open."""
    return layout.example(data, part, examples.place[0], examples.source[0])


def _made(name: str, cells: Mapping[str, transfer.Cell], image: str, examples: Examples) -> list[Cell]:
    """Return the errors on what was made for the network ``name``; each opens ``image``, attacked on it."""
    target = examples.target[0]
    links = {v: layout.playground_url(name, image, target, witness=v if v != name else None) for v in cells}
    return [_share(cells[victim], cells[victim].published, link) for victim, link in links.items()]


def _line(
    name: str, errors: Mapping[str, Estimate] | Mapping[str, Interval], nets: Mapping[str, str]
) -> Line:
    return [name, *(_share(errors[net]) for net in nets)]


def _noise(
    kinds: Mapping[str, Mapping[str, Mapping[str, transfer.Cell]]], nets: Mapping[str, str]
) -> list[Line]:
    """Return rows of noise that was not cut to [0, 1], and of noise that was."""
    words = {UNCUT: say("not cut"), CUT: say("cut to [0, 1]")}
    return [
        [
            say("Deviation {size}, {kind}", size=size, kind=words[kind]),
            *(_share(cells[net], cells[net].published) for net in nets),
        ]
        for kind, block in kinds.items()
        for size, cells in block.items()
    ]


def _third(title: str, row: Table3Row) -> Line:
    """Return a row of table 3."""
    errors = [_share(error, error.published) for error in (row.first_half, row.second_half, row.test)]
    paper = row.distortion.published
    return [title, *errors, cell(row.distortion, published=paper.value, recalled=paper.recalled)]


def _share(error: Estimate | Interval, published: Published | None = None, href: str = "") -> Cell:
    """Return the cell of a share of errors, which the paper has in per cent."""
    value, recalled = (None, False) if published is None else (published.value / 100, published.recalled)
    return Cell(error.value, error.low, error.high, value, recalled, href, scale=100, unit=" %")


def _over(name: str, figures: Table2Figures) -> Line:
    """Return a network's clean error, and what the other rows add to it and to noise of their size."""
    rows = figures.rows[figures.variant]
    others = [row for other, row in rows.items() if other != name]
    over = sum(row.cells[name].excess for row in others) / len(others)
    beyond = sum(row.cells[name].value - row.noise[name].value for row in others) / len(others)
    return [figures.nets[name], _share(figures.clean[name]), _points(over), _points(beyond)]


def _points(value: float) -> Cell:
    """Return the cell of a difference of shares, in points."""
    return Cell(value, scale=100, unit=f" {say('points')}", digits=2)
