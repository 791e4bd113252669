"""A table of distances as a heat map that is also words: the nearer, the stronger the colour."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

from streamlit.delta_generator import DeltaGenerator


class Head(NamedTuple):
    """The name of a row or column, and whether it is underlined as one of the family."""

    name: str
    kin: bool = False


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
    top = "".join(f'<th scope="col"{_kin(each)}>{html.escape(each.name)}</th>' for each in columns)
    body = "".join(
        f'<tr><th scope="row"{_kin(head)}>{html.escape(head.name)}</th>{"".join(map(_cell, spots))}</tr>'
        for head, spots in rows
    )
    whole = f'<thead><tr><th scope="col">{html.escape(corner)}</th>{top}</tr></thead><tbody>{body}</tbody>'
    place.html(f'<div class="heat" tabindex="0"><table>{whole}</table></div>')


def _kin(head: Head) -> str:
    return ' class="kin"' if head.kin else ""


def _cell(each: Spot) -> str:
    kind = f' class="{each.kind}"' if each.kind else ""
    return f'<td{kind} style="--near: {min(max(each.near, 0), 1):.2f}">{html.escape(each.text)}</td>'
