"""Grids of small pictures with a caption each, every one a link if it leads anywhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

CSS = """<style>
.tiles { display: grid; gap: 4px; width: 100%; }
.tiles figure { margin: 0; text-align: center; font-size: .75rem; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.tiles img { width: 100%; aspect-ratio: 1; image-rendering: pixelated; border-radius: 3px; display: block; }
.tiles .own img { outline: 2px solid var(--st-primary-color); outline-offset: -2px; }
.tiles .head { align-self: center; font-size: .8rem; opacity: .8; text-align: center; }
.tiles a { color: inherit; text-decoration: none; display: block; border-radius: 4px; }
.tiles a:hover img, .tiles a:focus-visible img { outline: 2px solid var(--st-primary-color); }
</style>"""


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
    st.html(f'{CSS}<div class="tiles" style="{style}">{cells}</div>')


def _cell(each: Tile | str) -> str:
    if isinstance(each, str):
        return f'<div class="head">{html.escape(each)}</div>'
    picture = f'<img src="data:image/png;base64,{each.png}" alt="{html.escape(each.alt)}">'
    caption = f"<figcaption>{html.escape(each.caption)}</figcaption>" if each.caption else ""
    whole = f"{picture}{caption}"
    if each.href:
        whole = f'<a href="{html.escape(each.href)}" target="_self">{whole}</a>'
    return f'<figure class="{"own" if each.own else ""}">{whole}</figure>'
