"""What a network says of a picture, as bars that are also words."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from components.display import html_table
from components.i18n.text import named


def odds(top: Sequence[tuple[str, float]], marked: str = "") -> None:
    """Show classes with their probabilities in [0, 1], most probable first; ``marked`` stands out."""
    rows = html_table.joined([_row(label, p, label == marked) for label, p in top])
    st.html(Markup('<ol class="odds">{}</ol>').format(rows))


def percent(probability: float) -> str:
    """Return ``probability`` in per cent with the digits that mean something: 97 %, 4.7 %, .012 %."""
    scaled = 100 * probability
    if scaled >= 99.95 or scaled == 0:
        return f"{scaled:.0f} %"
    return f"{scaled:.1f} %" if scaled >= 0.1 else f"{scaled:.1g} %"


def _row(label: str, probability: float, marked: bool) -> Markup:
    row = Markup(
        '<li{kind}><span class="bar" style="width: {width:.1f}%"></span>'
        '<span class="name">{name}</span><span class="share">{share}</span></li>'
    )
    kind = Markup(' class="marked"') if marked else ""
    return row.format(kind=kind, width=100 * probability, name=named(label), share=percent(probability))
