"""Support vector machines from strong to weak regularisation, under the reader's hand."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from app import service
from app.access import base
from app.lessons.tilting_boundary.tilt_view import tilt
from components.display import comparison_table
from components.display.comparison_table import Cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from components.widgets import mnist_fetch
from experiments.datasets.digit_sets import digit_name, of_source, source_of
from experiments.tanay2018.mirror_images import drawn, training_index
from experiments.tanay2018.tilting_angle import published

URL = "https://arxiv.org/abs/1806.11186"
SHIPPED = (7, 9)


def render() -> None:
    """Draw the lesson."""
    with layout.page("tilt") as said:
        with layout.part():
            result = _result()
            figures = result["figures"]
            picked = tilt(base=base(), figures=figures, published=_article(figures), words=said, key="tilt")
            _open(picked, figures, source_of(result))
        with layout.aside():
            st.markdown(said["press"])
        with layout.part():
            comparison_table.claims(result["claims"])
        with layout.part():
            st.markdown(said["pairs"])
            every = experiment_panel.shipped("svm_pairs")
            _pairs(every["figures"])
            comparison_table.claims(every["claims"])
            layout.source("Tanay & Griffin 2018, A New Angle on L2 Regularization", URL)


def _result() -> dict[str, Any]:
    """Return the path of the digits that the reader chooses: shipped, coarse, or in full on request."""
    with st.container(horizontal=True, vertical_alignment="center"):
        first = st.selectbox(say("One digit"), range(10), SHIPPED[0], key="tilt.first", width=120)
        rest = [digit for digit in range(10) if digit != first]
        second = st.selectbox(
            say("The other"), rest, rest.index(SHIPPED[1]), key=f"tilt.second.{first}", width=120
        )
        full = st.toggle(say("All 81 values of lambda"), value=False, key="tilt.full")
        place = st.container()
    if (first, second) == SHIPPED:
        result = experiment_panel.shipped("svm_path")
        seconds = f"{result['seconds']:.0f}"
        place.caption(say("Ships with the program: {seconds} s of work.", seconds=seconds))
        return result
    with place:
        return experiment_panel.computed("svm_path", first=first, second=second, lambdas=81 if full else 17)


def _article(figures: dict[str, Any]) -> dict[str, list[float]] | None:
    """Return the article's own values over the same values of lambda, or None where it has none."""
    found, count = published(*figures["classes"]), len(figures["log_lambda"])
    if found is None or 80 % (count - 1):
        return None
    return {key: values[:: 80 // (count - 1)].tolist() for key, values in found.items()}


def _open(picked: dict[str, Any] | None, figures: dict[str, Any], source: str) -> None:
    """Show a link to the playground with what was pressed, or, where it needs MNIST, that it does."""
    if picked is None:
        return
    if picked["what"] == "point":
        _open_training(picked["index"], figures, source)
    else:
        st.markdown(_drawn(picked["what"], picked["index"], figures))


def _open_training(point: int, figures: dict[str, Any], source: str) -> None:
    """Show a link to the training image of a point in the plane."""
    digits = of_source(source)
    if digits is None:
        mnist_fetch.offer(say("To open this training image in the playground, MNIST is needed."))
        return
    first, second = figures["classes"]
    digit, index = training_index(figures, point, digits)
    target = second if digit == first else first
    address = layout.playground_url("lenet", digit_name(source, "train", index), target)
    facts = {"index": index, "digit": digit, "address": address}
    st.markdown(say("[Open training image {index}, a {digit}, in the playground]({address})", **facts))


def _drawn(name: str, index: int, figures: dict[str, Any]) -> str:
    """Return a link to a typical image, or its mirror image at lambda number ``index``."""
    token = service.engine().uploads.add(drawn(figures, name, index), "digit.png")
    address = layout.playground_url("lenet", token, None)
    facts = {"name": name[0], "log": f"{figures['log_lambda'][index]:g}", "address": address}
    if name.endswith("m"):
        return say("[Open {name}, mirrored at λ = 10^{log} in the playground]({address})", **facts)
    return say("[Open {name} at λ = 10^{log} in the playground]({address})", **facts)


def _pairs(figures: dict[str, Any]) -> None:
    """Show the largest differences from the article, and each pair's most accurate machine."""
    theirs, best = figures["published"]["worst"], figures["best"]
    rows: list[list[Any]] = []
    for index, name in enumerate(figures["pairs"]):
        worst, log = theirs[name], figures["log_lambda"][best["index"][index]]
        rows.append([
            say("{one} and {other}", one=name[0], other=name[1]),
            Cell(worst["angle_degrees"], unit="°", digits=2),
            Cell(worst["test_error"], scale=100, unit=f" {say('points')}", digits=2),
            f"10^{log:g}",
            Cell(best["test_error"][index], scale=100, unit=" %"),
            Cell(math.degrees(best["angle"][index]), unit="°"),
        ])  # fmt: skip
    words = say("Digits"), say("Angle, at worst"), say("Test error, at worst"), say("Most accurate λ")
    outside = figures["published"]["exceptions"]
    facts = {"outside": len(outside), "pairs": len(rows)}
    said = say("Beyond 2 degrees or half a point: **{outside} of {pairs} pairs**", **facts)
    st.markdown(f"{said}{': ' if outside else ''}{', '.join(outside)}")
    with st.expander(say("Every pair")):
        comparison_table.beside([*words, say("Test error"), say("Angle")], rows)
