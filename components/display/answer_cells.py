"""Answers of networks as table cells: a sign and a word say whether one is fooled, not a colour alone."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from components.display.probability_bars import percent
from components.i18n.text import named, say


def answer(label: str, probability: float, fooled: bool | None = None) -> str:
    """Return an answer as HTML; ``fooled``: whether it is, None where nothing is judged."""
    share = percent(probability).replace(" ", "\u00a0")
    text = f"{html.escape(named(label))} {share}"
    if fooled is None:
        return text
    if fooled:
        return f'<span class="fooled">✗ {html.escape(say("fooled"))}: {text}</span>'
    return f"✓ {html.escape(say('not fooled'))}: {text}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], key: str) -> None:
    """Show a table under ``head``; ``rows`` are HTML, each begins with its heading. ``key``: a class."""
    top = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    st.html(f'<div class="beside asked {key}" tabindex="0">{table}</div>')
