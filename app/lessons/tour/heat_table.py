"""A table of distances as a heat map that is also words: the nearer, the stronger the colour."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

from streamlit.delta_generator import DeltaGenerator


class Head(NamedTuple):
    """The name of a row or column, and whether it is underlined as one of the superclass."""

    name: str
    underlined: bool = False


class Spot(NamedTuple):
    """One cell: its text, and how near it is, from 0 (no colour) to 1. ``kind``: "own" for what is there
    already, "todo" for what is still to come."""

    text: str
    near: float = 0.0
    kind: str = ""


def heat(
    place: DeltaGenerator, corner: str, columns: Sequence[Head], rows: Sequence[tuple[Head, Sequence[Spot]]]
) -> None:
    """Draw the table into ``place``, in place of what was there; ``corner`` names rows and columns."""
    top = "".join(f'<th scope="col"{_kind(head)}>{html.escape(head.name)}</th>' for head in columns)
    body = "".join(
        f'<tr><th scope="row"{_kind(head)}>{html.escape(head.name)}</th>{"".join(map(_cell, spots))}</tr>'
        for head, spots in rows
    )
    whole = f'<thead><tr><th scope="col">{html.escape(corner)}</th>{top}</tr></thead><tbody>{body}</tbody>'
    place.html(f'<div class="heat" tabindex="0"><table>{whole}</table></div>')


def _kind(head: Head) -> str:
    return ' class="superclass"' if head.underlined else ""


def _cell(spot: Spot) -> str:
    kind = f' class="{spot.kind}"' if spot.kind else ""
    return f'<td{kind} style="--near: {min(max(spot.near, 0), 1):.2f}">{html.escape(spot.text)}</td>'
