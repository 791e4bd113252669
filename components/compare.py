"""Several runs in one plot: a component that follows them by itself, beside Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from components.player import live_version

_PLACE = '<div class="foolscope-place" style="min-height: 480px"></div>'

# Streamlit sends this text again with every message, so it only fetches the real modules.
_LOADER = """
export default function ({ data: [data], parentElement }) {
  const address = new URL(`${data.base}/static/${data.v}/compare.js`, document.baseURI).href;
  const module = import(address);
  module.then(({ show }) => show({ data, parentElement })).catch((error) => {
    console.error(error);
    const place = parentElement.querySelector(".foolscope-place");
    if (place) place.textContent = "The live view could not be loaded. Reload the page.";
  });
  return () => module.then(({ leave }) => leave(parentElement)).catch(() => {});
}
"""

_component = st.components.v2.component("foolscope_compare", html=_PLACE, js=_LOADER)


def compare(
    *,
    base: str,
    mode: str,
    runs: Sequence[dict[str, Any]],
    original: str,
    goal: str | None,
    hint: str,
    key: str,
) -> None:
    """Show ``runs`` (each as `components.contest.facts` says) as they grow.

    ``mode``: "race" draws each run's curve and a table, "sweep" where each run stands over its budget.
    ``original`` is the picture's class, ``goal`` the target's label or None; ``hint`` is shown while
    there is no run.
    """
    facts: dict[str, Any] = {
        "base": base,
        "v": live_version(),
        "mode": mode,
        "runs": list(runs),
        "hint": hint,
    }
    facts |= {"original": original, "goal": goal}
    _component(key=key, data=[facts])  # in a list, as in `components.player`
