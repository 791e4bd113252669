"""Choosing several networks to be attacked as one."""

from __future__ import annotations

import streamlit as st

import models
from components.i18n import preferences
from components.i18n.text import say
from models import ensemble, weights


def key_of(model: str) -> str:
    """Return the key of the widget that takes other networks together with the first of ``model``."""
    return f"together.{model.split(ensemble.JOINT)[0]}"


def with_others(first: str, chosen: str) -> str:
    """Let the person take other networks together with ``first``; return the name of all of them as one, or
    ``first``. ``chosen``: the name that was chosen so far.

    Nothing is shown where no other network here has the same classes and channels.
    """
    card = models.card(first)
    near = [c for c in models.cards() if c.name != first and ensemble.suited(card, c) and weights.locate(c)]
    if not near:
        return first
    key, before = key_of(first), models.card(chosen).parts
    preferences.keep(key, list(before[1:]) if before and before[0] == first else [])
    added = [f"+ {models.card(name).title}" for name in st.session_state[key]]
    label = " ".join(added) or say("Several as one")
    with st.popover(label, type="tertiary", icon=":material/join:", key="together"):
        names = st.multiselect(
            say("Attacked together with it"),
            [c.name for c in near],
            format_func=lambda name: models.card(name).title,
            key=key,
            max_selections=ensemble.MOST - 1,
            placeholder=say("choose"),
            help=say(
                "The attack goes against the mean of what all of them say (their log-probabilities); such a "
                "picture more often fools networks that were not attacked."
            ),
        )
    return ensemble.JOINT.join([first, *names])
