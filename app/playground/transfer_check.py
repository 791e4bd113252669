"""What a second network, that was not attacked, says of a run's picture: does the example transfer?"""

from __future__ import annotations

import streamlit as st

import models
from components.i18n import preferences
from components.i18n.text import named, say
from engine.base import EngineBase
from engine.robustness.transfer import others, testify
from engine.run import Run

SAME = (
    "**{network}** says “{before}” ({sure}) of the original and the same ({then}) after step {step}: "
    "not fooled."
)
CHANGED = (
    "**{network}** says “{before}” ({sure}) of the original and **“{after}”** ({then}) after step {step}: "
    "it changes its mind too."
)


def shown(model: str, otherwise: str | None) -> str | None:
    """Return what `picker` now shows beside ``model``; ``otherwise`` where it was not drawn yet."""
    name: str | None = st.session_state.get(_key(model), otherwise)
    return name


def picker(model: str, chosen: str | None) -> str | None:
    """Let the person choose a second network, or none."""
    names = others(model)
    if not names:
        return None
    key = _key(model)
    preferences.keep(key, chosen if chosen in names else None)
    picked = st.selectbox(
        say("Does it fool another network?"),
        names,
        index=None,
        format_func=lambda name: models.card(name).title,
        placeholder=say("choose one that was not attacked"),
        key=key,
    )
    return None if picked is None else str(picked)


def _key(model: str) -> str:
    return f"witness.{model}"


def show(engine: EngineBase, run: Run, model: str) -> None:
    """Say what the second network makes of the run's picture."""
    before, after = testify(engine, run, model)
    facts = {
        "network": models.card(model).title,
        "before": named(before.label),
        "sure": f"{before.probability:.0%}",
        "after": named(after.label),
        "then": f"{after.probability:.0%}",
        "step": len(run) - 1,
    }
    st.markdown(say(SAME if before.label == after.label else CHANGED, **facts))
