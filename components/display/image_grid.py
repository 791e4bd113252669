"""Grids of small pictures with a caption each, every one a link if it leads anywhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st


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
    width = len(rows[0])
    cells = "".join(_cell(each) for row in rows for each in row)
    style = f"grid-template-columns: repeat({width}, minmax({least}, 1fr))"
    st.html(f'<div class="tiles" style="{style}">{cells}</div>')


def _cell(each: Tile | str) -> str:
    if isinstance(each, str):
        return f'<div class="head">{html.escape(each)}</div>'
    picture = f'<img src="data:image/png;base64,{each.png}" alt="{html.escape(each.alt)}">'
    caption = f"<figcaption>{html.escape(each.caption)}</figcaption>" if each.caption else ""
    whole = f"{picture}{caption}"
    if each.href:
        whole = f'<a href="{html.escape(each.href)}" target="_self">{whole}</a>'
    return f'<figure class="{"own" if each.own else ""}">{whole}</figure>'
