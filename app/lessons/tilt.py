"""Support vector machines from strong to weak regularisation, under the reader's hand."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from app.access import base
from app.subject import wake

LAB, ORDER = "Tilting boundary", 220
URL = "https://arxiv.org/abs/1806.11186"
SHIPPED = (7, 9)


def render() -> None:
    """Draw the lesson."""
    wake()
    from components import lesson, trial, verdicts
    from components.tilt import tilt

    with lesson.page("tilt") as said:
        result = _result()
        figures = result["figures"]
        picked = tilt(base=base(), figures=figures, published=_article(figures), words=said, key="tilt")
        st.markdown(_open(picked, figures) or said["press"])
        verdicts.claims(result["claims"])
        st.subheader("All pairs", anchor=False)
        st.markdown(said["pairs"])
        every = trial.shipped("svm_pairs")
        _pairs(every["figures"])
        verdicts.claims(every["claims"])
        lesson.source("Tanay & Griffin 2018, A New Angle on L2 Regularization", URL)


def _result() -> dict[str, Any]:
    """Return the path of the digits that the reader chooses: shipped, coarse, or in full on request."""
    from components import trial

    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.selectbox("One digit", range(10), SHIPPED[0], key="tilt.first", width=120)
        rest = [digit for digit in range(10) if digit != first]
        second = st.selectbox(
            "The other", rest, rest.index(SHIPPED[1]), key=f"tilt.second.{first}", width=120
        )
        full = st.toggle("All 81 values of lambda", value=False, key="tilt.full")
    if (first, second) == SHIPPED:
        result = trial.shipped("svm_path")
        st.caption(f"Ships with the program: {result['seconds']:.0f} s of work.")
        return result
    return trial.computed("svm_path", first=first, second=second, lambdas=81 if full else 17)


def _article(figures: dict[str, Any]) -> dict[str, list[float]] | None:
    """Return the article's own values over the same values of lambda, or None where it has none."""
    from experiments.tilt import published

    found, count = published(*figures["classes"]), len(figures["log_lambda"])
    if found is None or 80 % (count - 1):
        return None
    return {key: values[:: 80 // (count - 1)].tolist() for key, values in found.items()}


def _open(picked: dict[str, Any] | None, figures: dict[str, Any]) -> str:
    """Return a link to the playground with what was pressed, "" when nothing was."""
    from app import service
    from components import lesson
    from experiments.mirrors import drawn, training_index

    if picked is None:
        return ""
    first, second = figures["classes"]
    if picked["what"] == "point":
        digit, index = training_index(figures, picked["index"])
        address = lesson.digit("lenet", f"digit:train:{index}", second if digit == first else first)
        return f"[Open training image {index}, a {digit}, in the playground]({address})"
    token = service.engine().uploads.add(drawn(figures, picked["what"], picked["index"]), "digit.png")
    log = figures["log_lambda"][picked["index"]]
    name = picked["what"].replace("m", ", mirrored")
    return f"[Open {name} at λ = 10^{log:g} in the playground]({lesson.digit('lenet', token, None)})"


def _pairs(figures: dict[str, Any]) -> None:
    """Show the largest differences from the article, and each pair's most accurate machine."""
    from components import verdicts
    from components.verdicts import Cell

    theirs, best = figures["published"]["worst"], figures["best"]
    rows: list[list[Any]] = []
    for index, name in enumerate(figures["pairs"]):
        worst, log = theirs[name], figures["log_lambda"][best["index"][index]]
        rows.append([
            f"{name[0]} and {name[1]}",
            Cell(worst["angle_degrees"], unit="°", digits=2),
            Cell(worst["test_error"], scale=100, unit=" points", digits=2),
            f"10^{log:g}",
            Cell(best["test_error"][index], scale=100, unit=" %"),
            Cell(math.degrees(best["angle"][index]), unit="°"),
        ])  # fmt: skip
    head = ["Digits", "Angle, at worst", "Test error, at worst", "Most accurate λ", "Test error", "Angle"]
    outside = figures["published"]["exceptions"]
    named = f": {', '.join(outside)}" if outside else ""
    st.markdown(f"Beyond 2 degrees or half a point: **{len(outside)} of {len(rows)} pairs**{named}.")
    with st.expander("Every pair"):
        verdicts.beside(head, rows)
