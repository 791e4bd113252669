"""0-1, hinge and softplus loss as the weights grow."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.subject import wake

LAB, ORDER = "Tilting boundary", 230
URL = "https://arxiv.org/abs/1806.11186"
NAMES = {"zero_one": "0-1 loss", "hinge": "hinge loss", "softplus": "softplus loss"}


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, plots, trial, verdicts

    with lesson.page("losses") as said:
        result = trial.result("losses", "Compute it here, on 500 digits of each", n=500)
        figures = result["figures"]
        norms = [10**log for log in figures["log_norm"]]
        st.markdown(said["risk"])
        series = [plots.Series(NAMES[name], norms, values) for name, values in figures["risk"].items()]
        alt = "Mean loss over the length of the weights; the dotted line is the length that training chose."
        own = figures["own_log_norm"]
        plots.lines(series, *_axes("mean loss"), alt=alt, key="risk", log="xy", marker=own)
        for part, least, key in (
            ("large", "d_err", "error distance"),
            ("small", "d_adv", "adversarial distance"),
        ):
            st.markdown(said[part])
            _limit(part, norms, figures, least, key)
        verdicts.claims(result["claims"])
        lesson.source("Tanay & Griffin 2018, the figures on the scaling of losses", URL)


def _axes(y: str) -> tuple[str, str]:
    return "length of the weights ‖w‖", y


def _limit(part: str, norms: list[float], figures: dict[str, Any], least: str, words: str) -> None:
    """Draw what both losses tend to, beside the distance that they should tend to."""
    from components import plots

    kept = [i for i, norm in enumerate(norms) if (norm > 1) == (part == "large")]
    x = [norms[i] for i in kept]
    series = [plots.Series(NAMES[name], x, [v[i] for i in kept]) for name, v in figures[part].items()]
    series.append(plots.Series(words, x, [figures[least]] * len(x), dash="dot", colour=6))
    alt = f"Both losses approach the {words} ({figures[least]:.3g})."
    log = "xy" if part == "large" else "x"
    plots.lines(series, *_axes(words), alt=alt, key=part, log=log, height=260)
