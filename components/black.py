"""What a chapter shows of black: nine steps beside one, and how much of where they end is chance."""

from __future__ import annotations

from typing import Any

import streamlit as st

import models
from components import plots, trial, verdicts
from components.plots import Series
from components.text import named, say
from components.verdicts import Cell, cell
from experiments import vulture
from models import weights


def exactly(experiment: str, model: str, *, nine: bool) -> dict[str, Any] | None:
    """Return the figures of ``experiment``, the article's own arithmetic, computed here with its ``nine``
    steps or without; None where ``model`` is not the article's network."""
    if model != vulture.NETWORK:
        return None
    figures: dict[str, Any] = trial.computed(experiment, quiet=True, model=model, nine=nine)["figures"]
    return figures


def why(model: str) -> None:
    """Say why ``model`` has other numbers than the article."""
    if model == "googlenet":
        words = (
            "The article's numbers are those of Caffe's GoogLeNet: no batch norm, 5x5 filters where this one "
            "has 3x3, weights of its own, and pictures from 0 to 255 with no mean taken away."
        )
    else:
        words = (
            "The article's numbers are those of Caffe's GoogLeNet; {network} has other weights and its own."
        )
    st.caption(say(words, network=models.card(model).title))


def digits(figures: dict[str, Any], *names: str) -> list[list[str | Cell]]:
    """Return a row for each class whose probability the article prints after any of ``names``: this run's
    (`experiments.arithmetic`) beside it."""
    found, printed = figures["found"], figures["printed"]
    labels = dict.fromkeys(label for name in names for label in printed[name])
    return [
        [named(label), *(_digits(found[name][label], printed[name].get(label)) for name in names)]
        for label in labels
    ]


def _digits(probability: float, said: float | None) -> Cell:
    published = None if said is None else said / 100
    return Cell(probability, published=published, scale=100, unit=" %", places=2)


def nine(experiment: str, model: str, figures: dict[str, Any]) -> None:
    """Draw nine small steps of ``model`` beside one of the same length, as `experiments.black` found it; of
    the article's network in its arithmetic too (``experiment``), with its numbers."""
    exact = exactly(experiment, model, nine=True)
    target, ways = figures["target"], figures["ways"]
    ends = {name: way["curves"][target][-1] for name, way in ways.items()}
    one, nine = ends["one step"], exact["curve"][-1] if exact else ends["nine steps"]
    words = "Nine small steps end at {nine}, one large step at {one}."
    alt = say(words, nine=f"{nine:.0%}", one=f"{one:.0%}")
    left, right = st.columns([3, 2], gap="large") if exact else (st.container(), st.container())
    with left:
        axes = say("Step"), say("Probability")
        plots.lines(_curves(figures, exact), *axes, alt=alt, key="many_steps.nine", percent=True, height=260)
    with right:
        if exact:
            verdicts.beside([say("After nine steps"), say("As Caffe sums")], digits(exact, "nine steps"))
        else:
            why(model)


def _curves(figures: dict[str, Any], exact: dict[str, Any] | None) -> list[Series]:
    x, target = [float(step) for step in range(10)], named(figures["target"])
    ways = {name: way["curves"][figures["target"]] for name, way in figures["ways"].items()}
    double = {"dash": "dash", "colour": 3} if exact else {"colour": 1}
    curves = [
        Series(say("{label}: nine steps", label=target), x, ways["nine steps"], **double),
        Series(say("{label}: one step", label=target), [0.0, 9.0], ways["one step"], dash="dot", colour=0),
        Series(say("{label}: nine, cut at black", label=target), x, ways["nine steps, cut"], colour=2),
    ]
    if exact:
        curves.insert(0, Series(say("{label}: as Caffe sums", label=target), x, exact["curve"], colour=1))
    return curves


def chance(experiment: str, exact: str) -> None:
    """Show what the article's steps end at when black is shaken by less than rounding does, as
    ``experiment`` found it, and what ``exact`` found in the article's arithmetic."""
    if weights.locate(models.card(vulture.NETWORK)):
        seed = int(st.session_state.get("rounding.seed", 0)) + 1
        result = trial.result(experiment, say("Shake it eight times here"), n=8, seed=seed)
        st.session_state["rounding.seed"] = result["seed"]
    else:
        result = trial.shipped(experiment)
    figures, names = result["figures"], {"one step": "One step of .9", "nine steps": "Nine steps of .1"}
    rows = [
        [say(words), *_spread(figures["ends"][way], figures["means"][way])] for way, words in names.items()
    ]
    verdicts.beside([named(figures["target"]), say("Mean"), say("Lowest"), say("Highest")], rows)
    verdicts.claims(trial.shipped(exact)["claims"] | result["claims"])


def _spread(ends: list[float], mean: dict[str, Any]) -> list[Any]:
    outer = [Cell(end, scale=100, unit=" %") for end in (min(ends), max(ends))]
    return [cell(mean, scale=100, unit=" %"), *outer]
