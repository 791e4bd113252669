"""What a network says of a picture, as bars that are also words."""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from components.i18n.text import named


def odds(top: Sequence[tuple[str, float]], marked: str = "") -> None:
    """Show classes with their probabilities in [0, 1], most probable first; ``marked`` stands out."""
    st.html(f'<ol class="odds">{"".join(_row(label, p, label == marked) for label, p in top)}</ol>')


def percent(probability: float) -> str:
    """Return ``probability`` in per cent with the digits that mean something: 97 %, 4.7 %, .012 %."""
    scaled = 100 * probability
    if scaled >= 99.95 or scaled == 0:
        return f"{scaled:.0f} %"
    return f"{scaled:.1f} %" if scaled >= 0.1 else f"{scaled:.1g} %"


def _row(label: str, probability: float, marked: bool) -> str:
    kind = ' class="marked"' if marked else ""
    bar = f'<span class="bar" style="width: {100 * probability:.1f}%"></span>'
    name = f'<span class="name">{html.escape(named(label))}</span>'
    return f'<li{kind}>{bar}{name}<span class="share">{percent(probability)}</span></li>'
