"""0-1, hinge and softplus loss as the weights grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from components.display import charts, comparison_table
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from experiments.tanay2018.losses import Losses, LossesFigures

URL = "https://arxiv.org/abs/1806.11186"


def render() -> None:
    """Draw the lesson."""
    with layout.page("losses") as prose:
        with layout.part():
            result = experiment_panel.result(Losses, say("Compute it here, on 500 digits of each"), n=500)
            figures = result.figures
            norms = [10**log for log in figures.log_norm]
            st.markdown(prose("risk"))
            _risk(norms, figures)
        with layout.part():
            st.markdown(prose("large"))
            above = [i for i, norm in enumerate(norms) if norm > 1]
            _limit("large", norms, above, figures.large, figures.d_err, say("error distance"))
        with layout.part():
            st.markdown(prose("small"))
            below = [i for i, norm in enumerate(norms) if norm <= 1]
            _limit("small", norms, below, figures.small, figures.d_adv, say("adversarial distance"))
        with layout.part():
            comparison_table.claims(result.claims)
            layout.source(say("Tanay & Griffin 2018, the figures on the scaling of losses"), URL)


def _name(loss: str) -> str:
    named = {"zero_one": say("0-1 loss"), "hinge": say("hinge loss"), "softplus": say("softplus loss")}
    return named[loss]


def _axes(y: str) -> tuple[str, str]:
    return say("length of the weights ‖w‖"), y


def _risk(norms: list[float], figures: LossesFigures) -> None:
    """Draw the mean losses over the length of the weights."""
    series = [charts.Series(_name(name), norms, values) for name, values in figures.risk.items()]
    alt = say("Mean loss over the length of the weights; the dotted line is the length that training chose.")
    own = figures.own_log_norm
    charts.lines(series, *_axes(say("mean loss")), alt=alt, key="risk", log="xy", marker=own)


def _limit(
    key: str,
    norms: Sequence[float],
    shown: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    limit: float,
    words: str,
) -> None:
    """Draw what both losses tend to at the ``shown`` norms, beside the distance ``limit`` that they should
    tend to, which ``words`` name."""
    x = [norms[i] for i in shown]
    series = [charts.Series(_name(name), x, [values[i] for i in shown]) for name, values in curves.items()]
    series.append(charts.Series(words, x, [limit] * len(x), dash="dot", colour=6))
    alt = say("Both losses approach the {distance} ({limit}).", distance=words, limit=f"{limit:.3g}")
    log = "xy" if key == "large" else "x"
    charts.lines(series, *_axes(words), alt=alt, key=key, log=log, height=260)
