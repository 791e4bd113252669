"""What a chapter shows of a classifier that is one sum: where all scores lie, and Karpathy's ten numbers."""

from __future__ import annotations

import streamlit as st

from components.display import charts
from components.display.comparison_table import Cell, beside
from components.display.probability_bars import percent
from components.i18n.text import say
from experiments.karpathy2015 import linear


def spread() -> None:
    """Draw how the scores of all pictures of five pixels are spread, and where the curve is not flat."""
    middles, shares = linear.spread()
    series = [charts.Series(say("all pictures"), middles, shares)]
    alt = say("How the scores are spread; the curve rises from 0 to 1 within the width of the dotted line.")
    axes = say("score t"), say("share of all pictures, for every 100 points")
    charts.lines(series, *axes, alt=alt, key="spread", percent=True, height=300, room=110, marker=[0.0])


def ten() -> None:
    """Show Karpathy's ten numbers and the same moved along the weights."""
    words = say("Step: how much of its weight is added to each number")
    step = st.slider(words, 0.0, 1.0, linear.STEP, 0.05, key="five.step")
    moved = linear.moved(step)
    rows = {"x": linear.X, "w": linear.W, f"x + {step:g} w": moved}
    beside(
        ["", *(str(i + 1) for i in range(10))],
        [[name, *(Cell(float(v)) for v in row)] for name, row in rows.items()],
    )
    before, after = linear.score(linear.X, linear.W), linear.score(moved, linear.W)
    published = linear.PUBLISHED
    then = (published.moved_score, published.moved_p) if step == linear.STEP else (None, None)
    beside(
        ["", say("score"), say("probability")],
        [
            ["x", *_pair(before, published.score, published.p)],
            [f"x + {step:g} w", *_pair(after, *then)],
        ],
    )
    words = "No number moves by more than {step}; together they move the score by {sum}, from {p} to {q}."
    p, q = (percent(linear.logistic(score)) for score in (before, after))
    st.markdown(say(words, step=f"{step:g}", sum=f"{after - before:g}", p=p, q=q))


def _pair(score: float, published: float | None, p: float | None) -> list[Cell]:
    return [Cell(score, published=published), Cell(linear.logistic(score), published=p)]
