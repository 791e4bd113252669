"""The toy problem of two-tone images, with a boundary that turns under the reader's hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from components.player import live_version

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
@media (max-width: 640px) { .toy { grid-template-columns: 1fr; } }
"""

_LOADER = """
export default function ({ data: [data], parentElement }) {
  const address = new URL(`${data.base}/static/${data.v}/toy.js`, document.baseURI).href;
  import(address).then(({ show }) => show({ data, parentElement })).catch(console.error);
}
"""

_component = st.components.v2.component("foolscope_toy", css=_CSS, js=_LOADER)


def toy(*, base: str, figures: Mapping[str, Any], words: Mapping[str, str], key: str) -> None:
    """Show the geometry of the experiment "toy" with a slider over the angle.

    ``words``: slider, plane, and what the three pictures are (x, xp, xm).
    """
    facts = {"base": base, "v": live_version(), "figures": {"geometry": figures["geometry"]}}
    _component(key=key, data=[facts | {"words": dict(words)}])  # a list, as in `components.player`
