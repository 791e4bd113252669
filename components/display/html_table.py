"""Tables as HTML. Text is escaped; what is `Markup` already goes in as it is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

NOTHING = Markup("")


def joined(parts: Sequence[str]) -> Markup:
    """Return the parts one after the other, escaped where they are no markup."""
    return NOTHING.join(parts)


def header(head: Sequence[str]) -> Markup:
    """Return the head of a table, a column a text."""
    cells = joined([Markup('<th scope="col">{}</th>').format(text) for text in head])
    return Markup("<thead><tr>{}</tr></thead>").format(cells)


def body(rows: Sequence[Sequence[Markup]]) -> Markup:
    """Return the body of a table; its cells are ``<td>`` or ``<th>`` elements."""
    return Markup("<tbody>{}</tbody>").format(
        joined([Markup("<tr>{}</tr>").format(joined(row)) for row in rows])
    )


def cell(content: str) -> Markup:
    """Return a cell."""
    return Markup("<td>{}</td>").format(content)


def row_head(content: str) -> Markup:
    """Return the cell that begins a row."""
    return Markup('<th scope="row">{}</th>').format(content)


def show(head: Sequence[str], rows: Sequence[Sequence[Markup]], style: str = "", *, place: str = "") -> None:
    """Show a table that scrolls sideways where it is wide.

    ``style``: classes of the table; ``place``: classes of what stands around it.
    """
    attribute = Markup(' class="{}"').format(style) if style else NOTHING
    table = Markup("<table{}>{}{}</table>").format(attribute, header(head), body(rows))
    around = " ".join(filter(None, ["beside", place]))
    st.html(Markup('<div class="{}" tabindex="0">{}</div>').format(around, table))
