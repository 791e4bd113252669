"""What a second network, that was not attacked, says of a run's picture: does the example transfer?"""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st
import torch

import models
from components.i18n import preferences
from components.i18n.text import named, say
from engine.engine import Engine
from engine.run import Run
from models.core import fitted

SAME = (
    "**{network}** says “{before}” ({sure}) of the original and the same ({then}) after step {step}: "
    "not fooled."
)
CHANGED = (
    "**{network}** says “{before}” ({sure}) of the original and **“{after}”** ({then}) after step {step}: "
    "it changes its mind too."
)


class Opinion(NamedTuple):
    """The class that a network puts first, and its probability in [0, 1]."""

    label: str
    probability: float


def others(model: str) -> list[str]:
    """Return the networks that take the same kind of picture as ``model``, itself left out."""
    mine = models.card(model)
    return [each.name for each in models.cards() if each.channels == mine.channels and each.name != model]


def testify(engine: Engine, run: Run, model: str) -> tuple[Opinion, Opinion]:
    """Return what ``model`` says of the original and of the run's last picture so far.

    The pictures keep every digit; for a network of another input size they are resized.
    Raises `errors.WeightsError` when its weights cannot be had.
    """
    start, last = run.start.cpu(), torch.from_numpy(run.picture(len(run) - 1))
    card = models.card(model)
    logits = engine.logits(model, fitted(torch.stack([start, last.to(start.dtype)]), card.size))
    top = logits.softmax(1).max(1)
    said = [Opinion(card.labels[int(i)], float(p)) for p, i in zip(top.values, top.indices, strict=True)]
    return said[0], said[1]


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


def show(engine: Engine, run: Run, model: str) -> None:
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
