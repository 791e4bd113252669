"""Grids of small pictures with a caption each, every one a link if it leads anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st
from markupsafe import Markup

from components.display.html_table import NOTHING, joined


class Tile(NamedTuple):
    """One picture: ``png`` in base64, ``alt`` in words for those who cannot see it, a caption, where a press
    leads, and whether it is the one that the others are compared with."""

    png: str
    alt: str
    caption: str = ""
    href: str = ""
    own: bool = False


def tiles(rows: Sequence[Sequence[Tile | str]], least: str = "24px") -> None:
    """Show rows of equal length; a string is a heading. ``least``: how narrow a column may get."""
    style = f"grid-template-columns: repeat({len(rows[0])}, minmax({least}, 1fr))"
    cells = joined([_cell(tile) for row in rows for tile in row])
    st.html(Markup('<div class="tiles" style="{}">{}</div>').format(style, cells))


def _cell(tile: Tile | str) -> Markup:
    if isinstance(tile, str):
        return Markup('<div class="head">{}</div>').format(tile)
    whole = Markup('<img src="data:image/png;base64,{}" alt="{}">').format(tile.png, tile.alt)
    whole += Markup("<figcaption>{}</figcaption>").format(tile.caption) if tile.caption else NOTHING
    if tile.href:
        whole = Markup('<a href="{}" target="_self">{}</a>').format(tile.href, whole)
    return Markup('<figure class="{}">{}</figure>').format("own" if tile.own else "", whole)
