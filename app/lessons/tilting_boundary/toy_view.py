"""The toy problem of two-tone images, with a boundary that turns under the reader's hand."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from components.live.loader import facts, loader
from experiments.tanay2018.toy import Geometry
from experiments.toolkit import codec

_CSS = """
.toy { display: grid; grid-template-columns: 1.2fr 1fr; gap: 1rem; min-height: 420px;
  color: var(--st-text-color); font-family: var(--st-font); }
.toy figure { margin: 0; min-width: 0; }
.toy figcaption { font-size: .85rem; opacity: .8; margin-top: .25rem; font-variant-numeric: tabular-nums; }
.control { grid-column: 1 / -1; display: grid; grid-template-columns: auto 1fr 4rem; gap: 1rem;
  align-items: center; }
.control input { accent-color: var(--st-primary-color); width: 100%; min-height: 2rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-content: start; }
.toy canvas { border: 1px solid var(--st-border-color); border-radius: 6px; box-sizing: border-box; }
@media (min-width: 1000px) { .toy { grid-template-columns: 1fr 1fr; min-height: 0; } }
@media (max-width: 640px) { .toy { grid-template-columns: 1fr; } }
"""

CAPTIONS = ("slider", "plane", "x", "xp", "xm")

_component = st.components.v2.component("foolscope_toy", css=_CSS, js=loader("toy"))


def toy(*, base: str, geometry: Geometry, words: Mapping[str, str], key: str) -> None:
    """Show the geometry of the experiment "toy" with a slider over the angle.

    ``words``: those of `CAPTIONS`, the last three of which say what the pictures are.
    """
    captions = {name: words[name] for name in CAPTIONS}
    _component(key=key, data=facts(base, figures={"geometry": codec.dump(geometry)}, words=captions))
