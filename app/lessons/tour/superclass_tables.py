"""How far pictures are from classes, and what stays in its family: the tables of a chapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamlit.delta_generator import DeltaGenerator

import models
from app.lessons.tour.heat_table import Head, Spot, heat
from components.display import comparison_table
from components.display.comparison_table import Cell, cell
from components.i18n.text import named, say
from components.widgets.image_picker import picture_title


def distances(place: DeltaGenerator, table: Mapping[str, Any], what: str) -> None:
    """Draw the cells of `experiments.evans2016.resistance.table` into ``place``.

    ``what``: "distance" or "steps".
    """
    found = [each[what] for row in table["cells"] for each in row if each and each[what] is not None]
    most = max(found, default=1) or 1
    columns = [Head(named(each["label"]), each["kin"]) for each in table["columns"]]
    rows = []
    for row, spots in zip(table["rows"], table["cells"], strict=True):
        said = f" ({named(row['said'])})" if row["said"] else ""
        head = Head(f"{picture_title(row['image'])}{said}", bool(row["kin"]))
        rows.append((head, [_spot(each, what, most) for each in spots]))
    heat(place, say("Picture (what it is taken for)"), columns, rows)


def _spot(each: Mapping[str, Any] | None, what: str, most: float) -> Spot:
    if each is None:
        return Spot("…", kind="todo")
    if each["own"]:
        return Spot(say("is it"), kind="own")
    value = each[what]
    if value is None:
        return Spot(say("not found"), kind="todo")
    return Spot(f"{value:.2f}" if what == "distance" else str(value), 1 - value / most)


def medians(table: Mapping[str, Any]) -> None:
    """Show the medians of the distances within and across the family."""
    head = [say("Median distance (l2)"), say("to the family's classes"), say("to other classes")]
    found = table["medians"]
    rows = [
        [words, *(_or_none(found[f"{part} to {to}"]) for to in ("kin", "others"))]
        for part, words in (("kin", say("Members of the family")), ("others", say("Other pictures")))
    ]
    comparison_table.beside(head, rows)


def _or_none(value: float | None) -> str | Cell:
    return "–" if value is None else Cell(value)


def staying(networks: Mapping[str, Any]) -> None:
    """Show, for each network and family, what share stays in it, by lot too, and how far both ways are."""
    head = ["Family", "Classes", "Stay in it", "By lot", "To another answer (l2)", "To leave the family (l2)"]
    rows: list[list[str | Cell]] = []
    for name, families in networks.items():
        for family, each in families.items():
            size = say("{size} of {of}", size=each["size"], of=each["of"])
            share = cell(each["stays"], scale=100, unit=" %", digits=2)
            lot = Cell(each["chance"], scale=100, unit=" %", digits=2)
            title = f"{models.card(name).title}: {say(family)}"
            rows.append(
                [title, size, share, lot, cell(each["near"], digits=2), cell(each["leave"], digits=2)]
            )
    comparison_table.beside([say(each) for each in head], rows)


def unbalanced(figures: Mapping[str, Any]) -> None:
    """Show what ten times as many digits of a family change."""
    kinds = {"balanced": say("All equally frequent"), "ten times": say("Ten times as many 3, 5 and 8")}
    columns = {
        "leave": "To leave the family (l2)",
        "rest": "Other digits, to another answer (l2)",
        "stays": "Stay in the family",
        "family error": "Errors on the family",
        "other error": "Errors on the others",
    }
    head = [say("Learnt from"), *(say(words) for words in columns.values())]
    rows: list[list[str | Cell]] = []
    for kind, words in kinds.items():
        each = figures["kinds"][kind]
        share = {"scale": 100, "unit": " %", "digits": 2}
        rows.append([words, *(cell(each[c], **({} if c in ("leave", "rest") else share)) for c in columns)])
    comparison_table.beside(head, rows)
