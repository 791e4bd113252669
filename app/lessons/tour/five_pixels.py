"""Chapter 2: a classifier of five pixels, and ten numbers that one small step carries across."""

from __future__ import annotations

import math

import streamlit as st

from app.lessons.tour import linear_panels as shown
from components.display import charts
from components.display.probability_bars import percent
from components.i18n.text import say
from components.lesson import layout
from components.lesson.questions import RightAnswer
from experiments.karpathy2015 import linear

FIRST = (3, 200, 20, 100, 14)
KARPATHY = "http://karpathy.github.io/2015/03/30/breaking-convnets/"


def render() -> None:
    """Draw the chapter."""
    with layout.page("five_pixels", answer) as prose:
        with layout.part():
            st.button(say("Find five pixels that score exactly 794"), type="primary", on_click=_find)
            _pixels()
        with layout.part():
            st.markdown(prose("hundred").format(**_counted()))
            shown.spread()
        with layout.part():
            st.markdown(prose("ten"))
            shown.ten()
            layout.source(say("Karpathy, Breaking Linear Classifiers on ImageNet"), KARPATHY)


def answer() -> RightAnswer:
    """Return how large a share of all pictures gets a probability from 1 % to 99 %."""
    counted = linear.census()
    share = counted.unsure / counted.pictures
    number = 0 if share > 0.3 else 1 if share >= 0.01 else 2
    return RightAnswer(number, {"share": f"{100 * share:.2f} %", "pictures": f"{counted.pictures:,}"})


def _counted() -> dict[str, object]:
    """Return what the text says of all pictures of five pixels."""
    counted = linear.census()
    return {name: f"{value:,}" for name, value in counted._asdict().items()} | {
        "edge": linear.edge(),
        "one_in": f"{counted.pictures / counted.certain:,.0f}",
        "share_one": f"{100 * counted.one / counted.pictures:.1f} %",
        "share_unsure": f"{100 * counted.unsure / counted.pictures:.2f} %",
        "short": f"{-linear.CERTAIN / math.log(10):.1f}",
    }


def _find() -> None:
    """Put five pixels that score 794 into the sliders; the next press finds others."""
    seed = st.session_state.get("five_seed", -1) + 1
    st.session_state.five_seed, pixels = seed, linear.find(seed)
    st.session_state.five_draws = pixels.draws
    for index, level in enumerate(pixels.pixels):
        st.session_state[f"five.{index}"] = level


def _pixels() -> None:
    """Show the sliders with their pixels, the sum, and where it lies on the curve."""
    left, right = st.columns([1, 1], gap="large")
    levels = []
    with left, st.container(key="five", gap="small"):
        for index, (weight, first) in enumerate(zip(linear.WEIGHTS, FIRST, strict=True)):
            st.session_state.setdefault(f"five.{index}", first)
            words = say("Pixel {number}, weight {weight}", number=index + 1, weight=linear.signed(weight))
            levels.append(st.slider(words, 0, 255, key=f"five.{index}"))
    with right:
        _swatches(levels)
        score = int(linear.score(levels))
        products = zip(linear.WEIGHTS, levels, strict=True)
        sum_ = " ".join(f"{linear.signed(w, plus=i > 0)} · {x}" for i, (w, x) in enumerate(products))
        st.markdown(f"{sum_} = **{linear.signed(score)}**")
        _curve(score)


def _swatches(levels: list[int]) -> None:
    """Show the five pixels as a picture of five squares."""
    squares = "".join(f'<span style="background: rgb({v}, {v}, {v})"></span>' for v in levels)
    alt = say("Five grey squares: levels {levels}", levels=", ".join(map(str, levels)))
    st.html(f'<div class="swatches" role="img" aria-label="{alt}">{squares}</div>')


def _curve(score: int) -> None:
    """Draw the logistic curve wide enough to hold ``score``, and the point on it."""
    p = linear.logistic(score)
    st.markdown(say("The network says **raccoon**, {share}", share=percent(p)))
    if p == 1:
        st.caption(say("Not rounded: 1/(1+e^−t) is 1 here to the last digit that the computer keeps."))
    wide = max(12.0, 1.15 * abs(score))
    places = sorted({*(wide * i / 100 for i in range(-100, 101)), *(i / 2 for i in range(-24, 25))})
    series = [charts.Series("S(t)", places, [linear.logistic(t) for t in places])]
    words = "The logistic curve S(t), and on it the score {score}: {share}."
    alt = say(words, score=linear.signed(score), share=percent(p))
    axes = (say("score t"), say("probability"))
    charts.lines(series, *axes, alt=alt, key="five", percent=True, height=230, room=50, dots=[(score, p)])
