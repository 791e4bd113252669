"""What a chapter shows of black: nine steps beside one, and how much of where they end is chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

import models
from components.display import charts, comparison_table
from components.display.charts import Series
from components.display.comparison_table import Cell, cell
from components.display.probability_bars import percent
from components.i18n.text import named, say
from components.lesson import experiment_panel
from engine.intervals import Estimate
from experiments.core import Result
from experiments.evans2016 import article
from experiments.evans2016.arithmetic import Arithmetic, ArithmeticFigures
from experiments.evans2016.black import LONG, Black, BlackFigures
from experiments.evans2016.rounding import Rounding
from models import weights

ENDS = {
    "one step": "One step of .9",
    "nine steps": "Nine steps of .1",
    LONG: "Sixty steps of .1",
    f"{LONG}, cut": "Sixty, cut at black",
}


def exactly(model: str, *, nine: bool) -> ArithmeticFigures | None:
    """Return the figures of the article's own arithmetic, computed here with its ``nine`` steps or without;
    None where ``model`` is not the article's network."""
    if model != article.NETWORK:
        return None
    return experiment_panel.computed(Arithmetic, quiet=True, model=model, nine=nine).figures


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


def digits(figures: ArithmeticFigures, *names: str) -> list[list[str | Cell]]:
    """Return a row for each class whose probability the article prints after any of ``names``: this run's
    beside it."""
    p, printed = figures.probabilities, figures.printed
    labels = dict.fromkeys(label for name in names for label in printed[name])
    return [
        [named(label), *(_digits(p[name][label], printed[name].get(label)) for name in names)]
        for label in labels
    ]


def _digits(probability: float, percents: float | None) -> Cell:
    published = None if percents is None else percents / 100
    return Cell(probability, published=published, scale=100, unit=" %", places=2)


def steps(model: str, words: str) -> Result[BlackFigures]:
    """Show a button ``words`` that takes the steps from black with ``model``, and return the result: the one
    that ships until then."""
    return experiment_panel.result(Black, words, model=model, double=model == article.NETWORK)


def many(model: str, words: str) -> None:
    """Draw small steps from black beside one as long as nine of them; of the article's network in its own
    arithmetic too, with its numbers. ``words``: of the button that computes it anew."""
    result = steps(model, words)
    figures, network = result.figures, str(result.settings["model"])
    exact = exactly(network, nine=True)
    left, right = st.columns([3, 2], gap="large")
    with left:
        axes, alt = (say("Step"), say("Probability")), _in_words(figures, exact)
        charts.lines(_curves(figures, exact), *axes, alt=alt, key="many_steps.nine", percent=True, height=260)
    with right:
        if exact:
            comparison_table.beside(
                [say("After nine steps"), say("As Caffe sums")], digits(exact, "nine steps")
            )
        else:
            ends(figures)
            why(network)
    comparison_table.claims(result.claims, folded=True)


def ends(figures: BlackFigures) -> None:
    """Show, for black and at the end of each walk, what the network says and what it gives the target."""
    target = figures.target
    first = next(iter(figures.walks.values())).curves
    rows: list[list[str | Cell]] = [[say("Black"), *_answer(first, 0, target)]]
    rows += [
        [say(words), *_answer(figures.walks[name].curves, -1, target)]
        for name, words in ENDS.items()
        if name in figures.walks
    ]
    comparison_table.beside(["", say("It says"), named(target)], rows)


def _answer(curves: Mapping[str, Sequence[float]], at: int, target: str) -> list[str | Cell]:
    label = max(curves, key=lambda name: curves[name][at])
    return [named(label), Cell(curves[target][at], scale=100, unit=" %")]


def _in_words(figures: BlackFigures, exact: ArithmeticFigures | None) -> str:
    last = {name: walk.curves[figures.target][-1] for name, walk in figures.walks.items()}
    most = exact.curve[-1] if exact else last["nine steps"]
    words = say(
        "Nine small steps end at {nine}, one large step at {one}.",
        nine=percent(most),
        one=percent(last["one step"]),
    )
    return words + (say(" Sixty end at {sixty}.", sixty=percent(last[LONG])) if LONG in last else "")


def _curves(figures: BlackFigures, exact: ArithmeticFigures | None) -> list[Series]:
    label = named(figures.target)
    curve = {name: walk.curves[figures.target] for name, walk in figures.walks.items()}
    name = LONG if LONG in curve else "nine steps"
    double = {"dash": "dash", "colour": 3} if exact else {"colour": 1}
    x = [float(step) for step in range(len(curve[name]))]
    curves = [
        Series(say("{label}: small steps", label=label), x, curve[name], **double),
        Series(say("{label}: one step", label=label), [0.0, 9.0], curve["one step"], dash="dot", colour=0),
        Series(say("{label}: small, cut at black", label=label), x, curve[f"{name}, cut"], colour=2),
    ]
    if exact:
        first = Series(say("{label}: as Caffe sums", label=label), x, exact.curve, colour=1)
        curves.insert(0, first)
    return curves


def chance() -> None:
    """Show what the article's steps end at when black is shaken by less than rounding does, and what comes
    out in the article's arithmetic."""
    if weights.locate(models.card(article.NETWORK)):
        seed = int(st.session_state.get("rounding_seed", 0)) + 1
        result = experiment_panel.result(Rounding, say("Shake it eight times here"), n=8, seed=seed)
        st.session_state.rounding_seed = result.seed
    else:
        result = experiment_panel.shipped(Rounding)
    figures, names = result.figures, {"one step": "One step of .9", "nine steps": "Nine steps of .1"}
    rows: list[list[str | Cell]]
    rows = [[say(words), *_spread(figures.ends[name], figures.means[name])] for name, words in names.items()]
    comparison_table.beside([named(figures.target), say("Mean"), say("Lowest"), say("Highest")], rows)
    comparison_table.claims(experiment_panel.shipped(Arithmetic).claims | result.claims)


def _spread(ends: Sequence[float], mean: Estimate) -> list[Cell]:
    outer = [Cell(end, scale=100, unit=" %") for end in (min(ends), max(ends))]
    return [cell(mean, scale=100, unit=" %"), *outer]
