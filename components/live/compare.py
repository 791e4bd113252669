"""Several runs in one plot: a component that follows them by itself, beside Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st
from markupsafe import Markup

from components.i18n import preferences
from components.i18n.text import phrases, say
from components.live.loader import facts, loader, place

_component = st.components.v2.component("foolscope_compare", html=place(480), js=loader("compare"))


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
    """Show ``runs`` (each as `app.compare.comparisons.facts` says) as they grow.

    ``mode``: "race" draws each run's curve and a table, "sweep" where each run stands over its budget.
    ``original`` is the picture's class, ``goal`` the target's label or None; ``hint`` is shown while
    there is no run. Its own words and the runs' go with it in the reader's language.
    """
    language = preferences.language()
    words = phrases(language, part="live") | phrases(language, part="compare") or None
    shown: dict[str, Any] = {"mode": mode, "runs": list(runs), "hint": hint}
    shown |= {"language": language, "words": words}
    if not runs:
        where = say("The choices and Start are behind » at the top.")
        st.html(Markup('<p class="on_a_phone">{}</p>').format(where))
    _component(key=key, data=facts(base, **shown, original=original, goal=goal))
