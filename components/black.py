"""What a chapter shows of black: nine steps beside one, and how much of where they end is chance."""

from __future__ import annotations

from typing import Any

import streamlit as st

import models
from components import plots, trial, verdicts
from components.plots import Series
from components.text import say
from components.verdicts import Cell, cell
from experiments.black import ARTICLE
from models import weights


def nine(figures: dict[str, Any]) -> None:
    """Draw nine small steps beside one of the same length, and the article's numbers; ``figures`` are those
    of `experiments.black`."""
    target, printed = figures["target"], figures["article"]
    ends = {name: way["curves"][target][-1] for name, way in figures["ways"].items()}
    one, nine = ends["one step"], ends["nine steps"]
    words = "Nine small steps end at {nine}, one large step at {one}."
    alt = say(words, nine=f"{nine:.0%}", one=f"{one:.0%}")
    left, right = st.columns([3, 2], gap="large") if printed else (st.container(), None)
    with left:
        axes = say("Step"), say("Probability")
        plots.lines(_curves(figures), *axes, alt=alt, key="many_steps.nine", percent=True, height=260)
    if right:
        pairs = {say("One step of .9"): (one, "one step"), say("Nine steps of .1"): (nine, "nine steps")}
        rows: list[list[str | Cell]] = [
            [words, Cell(value, published=printed[name] / 100, scale=100, unit=" %")]
            for words, (value, name) in pairs.items()
        ]
        with right:
            verdicts.beside(["", target], rows)


def _curves(figures: dict[str, Any]) -> list[Series]:
    target, x = figures["target"], [float(step) for step in range(10)]
    ways = {name: way["curves"][target] for name, way in figures["ways"].items()}
    return [
        Series(say("{label}: nine steps", label=target), x, ways["nine steps"], colour=1),
        Series(say("{label}: one step", label=target), [0.0, 9.0], ways["one step"], dash="dot", colour=0),
        Series(say("{label}: nine, cut at black", label=target), x, ways["nine steps, cut"], colour=2),
    ]


def chance(experiment: str) -> None:
    """Show what the article's steps end at when black is shaken by less than rounding does, as
    ``experiment`` found it."""
    if weights.locate(models.card(ARTICLE)):
        seed = int(st.session_state.get("rounding.seed", 0)) + 1
        result = trial.result(experiment, say("Shake it eight times here"), n=8, seed=seed)
        st.session_state["rounding.seed"] = result["seed"]
    else:
        result = trial.shipped(experiment)
    figures, names = result["figures"], {"one step": "One step of .9", "nine steps": "Nine steps of .1"}
    rows = [
        [say(words), *_spread(figures["ends"][way], figures["means"][way])] for way, words in names.items()
    ]
    verdicts.beside([figures["target"], say("Mean"), say("Lowest"), say("Highest")], rows)
    verdicts.claims(result["claims"])


def _spread(ends: list[float], mean: dict[str, Any]) -> list[Any]:
    outer = [Cell(end, scale=100, unit=" %") for end in (min(ends), max(ends))]
    return [cell(mean, scale=100, unit=" %"), *outer]
