"""How far pictures are from classes, and what stays in its superclass: the tables of a chapter."""

from __future__ import annotations

from collections.abc import Mapping

from streamlit.delta_generator import DeltaGenerator

import models
from app.lessons.tour.heat_table import Head, Spot, heat
from components.display import comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import named, say
from components.widgets.image_picker import picture_title
from experiments.evans2016.confusion import SuperclassFigures
from experiments.evans2016.imbalance import ImbalanceFigures, KindFigures
from experiments.evans2016.resistance import Measurement, Table

NOT_YET = "…"


def distances(place: DeltaGenerator, table: Table, what: str) -> None:
    """Draw the cells of ``table`` into ``place``; ``what``: "distance" or "steps"."""
    values = [_value(spot, what) for row in table.cells for spot in row if spot]
    most = max((value for value in values if value is not None), default=1) or 1
    columns = [Head(named(column.label), column.inside) for column in table.columns]
    rows = []
    for row, spots in zip(table.rows, table.cells, strict=True):
        answer = f" ({named(row.answer)})" if row.answer else ""
        head = Head(f"{picture_title(row.image)}{answer}", bool(row.inside))
        rows.append((head, [_spot(spot, what, most) for spot in spots]))
    heat(place, say("Picture (what it is taken for)"), columns, rows)


def _value(measured: Measurement, what: str) -> float | None:
    return measured.distance if what == "distance" else measured.steps


def _spot(measured: Measurement | None, what: str, most: float) -> Spot:
    if measured is None:
        return Spot(NOT_YET, kind="todo")
    if measured.own:
        return Spot(say("is it"), kind="own")
    value = _value(measured, what)
    if value is None:
        return Spot(say("not found"), kind="todo")
    return Spot(f"{value:.2f}" if what == "distance" else str(value), 1 - value / most)


def medians(table: Table) -> None:
    """Show the medians of the distances inside and outside the superclass."""
    head = [say("Median distance (l2)"), say("to the family's classes"), say("to other classes")]
    far = table.medians
    inside = [_or_none(far.inside_to_inside), _or_none(far.inside_to_outside)]
    outside = [_or_none(far.outside_to_inside), _or_none(far.outside_to_outside)]
    rows = [[say("Members of the family"), *inside], [say("Other pictures"), *outside]]
    comparison_table.beside(head, rows)


def _or_none(value: float | None) -> str | Cell:
    return "–" if value is None else Cell(value)


def staying(networks: Mapping[str, Mapping[str, SuperclassFigures]]) -> None:
    """Show, for each network and superclass, what share stays in it, by lot too, and how far the least change
    to another answer is and the least to one outside."""
    head = ["Family", "Classes", "Stay in it", "By lot", "To another answer (l2)", "To leave the family (l2)"]
    rows = [
        _staying(f"{models.card(name).title}: {say(superclass)}", figures)
        for name, parts in networks.items()
        for superclass, figures in parts.items()
    ]
    comparison_table.beside([say(words) for words in head], rows)


def _staying(title: str, figures: SuperclassFigures) -> list[str | Cell]:
    return [
        title,
        say("{size} of {of}", size=figures.size, of=figures.of),
        cell(figures.stays, scale=100, unit=" %", digits=2),
        Cell(figures.chance, scale=100, unit=" %", digits=2),
        cell(figures.near, digits=2),
        cell(figures.leave, digits=2),
    ]


def unbalanced(figures: ImbalanceFigures) -> None:
    """Show what ten times as many digits of a superclass change."""
    kinds = {"balanced": say("All equally frequent"), "ten times": say("Ten times as many 3, 5 and 8")}
    head = [
        "Learnt from",
        "To leave the family (l2)",
        "Other digits, to another answer (l2)",
        "Stay in the family",
        "Errors on the family",
        "Errors on the others",
    ]
    rows = [_unbalanced(words, figures.kinds[kind]) for kind, words in kinds.items()]
    comparison_table.beside([say(words) for words in head], rows)


def _unbalanced(title: str, means: KindFigures) -> list[str | Cell]:
    shares = (means.stays, means.superclass_error, means.other_error)
    return [
        title,
        cell(means.leave),
        cell(means.rest),
        *(cell(share, scale=100, unit=" %", digits=2) for share in shares),
    ]
