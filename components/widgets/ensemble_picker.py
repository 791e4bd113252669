"""Choosing several networks to be attacked as one."""

from __future__ import annotations

import streamlit as st

import models
from components.i18n import preferences
from components.i18n.text import say
from models import ensemble, weights


def keys_of(model: str) -> tuple[str, str]:
    """Return the keys of the widgets that take other networks together with the first of ``model``, and
    say how."""
    first = ensemble.parsed(model).names[0]
    return f"together.{first}", f"kind.{first}"


def with_others(first: str, chosen: str) -> str:
    """Let the person take other networks together with ``first``; return the name of all of them as one, or
    ``first``. ``chosen``: the name that was chosen so far.

    Nothing is shown where no other network here has the same classes and channels.
    """
    card = models.card(first)
    near = [c for c in models.cards() if c.name != first and ensemble.suited(card, c) and weights.locate(c)]
    if not near:
        return first
    (key, kind_key), before = keys_of(first), models.card(chosen)
    own = before.parts[:1] == (first,)
    preferences.keep(key, list(before.parts[1:]) if own else [])
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
            help=say("Such a picture more often fools networks that were not attacked."),
        )
        kind = _kind(kind_key, before.ensemble if own else ensemble.MEAN) if names else ensemble.MEAN
    return ensemble.name_of([first, *names], kind)


def _kind(key: str, chosen: str) -> str:
    """Let the person choose how the networks are taken as one."""
    words = {
        ensemble.MEAN: say("the mean of their log-probabilities"),
        ensemble.PROBABILITIES: say("the mean of their probabilities"),
        ensemble.WORST: say("every one of them must be fooled"),
    }
    meaning = {
        ensemble.MEAN: say("A network that finds the goal all but impossible pulls the mean far down."),
        ensemble.PROBABILITIES: say("A network that finds the goal all but impossible hardly counts."),
        ensemble.WORST: say(
            "At every step the network that is least fooled answers, and the figures are its own; the goal "
            "is reached when all of them are fooled."
        ),
    }
    preferences.keep(key, chosen)
    return str(
        st.radio(
            say("The attack goes against"),
            list(words),
            format_func=words.__getitem__,
            captions=list(meaning.values()),
            key=key,
        )
    )
