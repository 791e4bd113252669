"""The panel under a run: a part at a time, computed when it is chosen."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from components.i18n.text import say, told
from components.take_home import downloads, robustness, sharing
from engine.base import EngineBase
from engine.run import Run
from errors import FoolscopeError

Part = Callable[[EngineBase, str, Run, str], None]
"""Draws a part for an engine, the path of the run routes, a run that is over, and a key for its widgets."""
PARTS: dict[str, Part] = {
    "Download": downloads.render,
    "What it survives": robustness.render,
    "Show others": sharing.render,
}
"""What a visitor may choose, by its name."""


def panel(engine: EngineBase, base: str, run: Run, key: str, *, folded: bool = False) -> None:
    """Show, under a run that is over, what can be taken from it; nothing while it goes on.

    ``base``: the path of the run routes; ``key``: of the widgets, one for each place on a page; ``folded``:
    behind a button in the corner of the view above, which takes no room.
    """
    if not run.over or len(run) < 2:
        return
    kind = "take_home_folded" if folded else "take_home"
    with st.container(key=f"{kind}_{key.replace('.', '_')}"):
        if folded:
            with st.popover(say("Take it home"), icon=":material/download:", type="tertiary"):
                _chosen(engine, base, run, key)
        else:
            _chosen(engine, base, run, key)


@st.fragment
def _chosen(engine: EngineBase, base: str, run: Run, key: str) -> None:
    part = st.segmented_control(
        say("Take it home"),
        list(PARTS),
        format_func=say,
        key=f"take_home.{key}",
    )
    if part is None:
        return
    try:
        PARTS[part](engine, base, run, f"take_home.{key}.{run.id}")
    except FoolscopeError as error:
        st.error(told(error))
