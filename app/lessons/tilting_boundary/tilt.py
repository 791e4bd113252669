"""Support vector machines from strong to weak regularisation, under the reader's hand."""

from __future__ import annotations

import math

import streamlit as st

from app import service
from app.access import base
from app.lessons.tilting_boundary.tilt_view import Picked, tilt
from components.display import comparison_table
from components.display.comparison_table import Cell
from components.i18n.text import say
from components.lesson import experiment_panel, layout
from components.widgets import mnist_fetch
from engine.work import only_answer
from experiments.core import Result
from experiments.datasets.digit_sets import digit_name, source_of
from experiments.tanay2018.mirror_images import TrainingImage, image_png
from experiments.tanay2018.svm_pairs import Agreement, SVMPairs, SVMPairsFigures
from experiments.tanay2018.svm_path import SVMPath, SVMPathFigures
from experiments.tanay2018.tilting_angle import published

URL = "https://arxiv.org/abs/1806.11186"
SHIPPED = (7, 9)


def render() -> None:
    """Draw the lesson."""
    with layout.page("tilt") as prose:
        with layout.part():
            result = _result()
            figures = result.figures
            picked = tilt(
                base=base(), figures=figures, published=_article(figures), words=prose.texts, key="tilt"
            )
            _open(picked, figures, source_of(result.data))
        with layout.aside():
            st.markdown(prose("press"))
        with layout.part():
            comparison_table.claims(result.claims)
        with layout.part():
            st.markdown(prose("pairs"))
            pairs = experiment_panel.shipped(SVMPairs)
            _pairs(pairs.figures)
            comparison_table.claims(pairs.claims)
            layout.source("Tanay & Griffin 2018, A New Angle on L2 Regularization", URL)


def _result() -> Result[SVMPathFigures]:
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
        result = experiment_panel.shipped(SVMPath)
        place.caption(say("Ships with the program: {seconds} s of work.", seconds=f"{result.seconds:.0f}"))
        return result
    with place:
        return experiment_panel.computed(SVMPath, first=first, second=second, lambdas=81 if full else 17)


def _article(figures: SVMPathFigures) -> dict[str, list[float]] | None:
    """Return the article's own values over the same values of lambda, or None where it has none."""
    article, count = published(*figures.classes), len(figures.log_lambda)
    if article is None or 80 % (count - 1):
        return None
    return {key: values[:: 80 // (count - 1)].tolist() for key, values in vars(article).items()}


def _open(picked: Picked | None, figures: SVMPathFigures, source: str) -> None:
    """Show a link to the playground with what was pressed, or, where it needs MNIST, that it does."""
    if picked is None:
        return
    if picked.what == "point":
        _open_training(picked.index, figures, source)
    else:
        st.markdown(_drawn(picked.what, picked.index, figures))


def _open_training(point: int, figures: SVMPathFigures, source: str) -> None:
    """Show a link to the training image of a point in the plane."""
    work = TrainingImage.of(figures, point, source)
    index = only_answer(service.engine(), work)
    if index is None:
        mnist_fetch.offer(say("To open this training image in the playground, MNIST is needed."))
        return
    (first, second), digit = figures.classes, work.digit
    target = second if digit == first else first
    address = layout.playground_url("lenet", digit_name(source, "train", index), target)
    facts = {"index": index, "digit": digit, "address": address}
    st.markdown(say("[Open training image {index}, a {digit}, in the playground]({address})", **facts))


def _drawn(name: str, index: int, figures: SVMPathFigures) -> str:
    """Return a link to a typical image, or its mirror image at lambda number ``index``."""
    token = service.engine().uploads.add(image_png(figures, name, index), "digit.png")
    address = layout.playground_url("lenet", token, None)
    facts = {"name": name[0], "log": f"{figures.log_lambda[index]:g}", "address": address}
    if name.endswith("m"):
        return say("[Open {name}, mirrored at λ = 10^{log} in the playground]({address})", **facts)
    return say("[Open {name} at λ = 10^{log} in the playground]({address})", **facts)


def _pairs(figures: SVMPairsFigures) -> None:
    """Show the largest differences from the article, and each pair's most accurate machine."""
    agreement = figures.published
    assert agreement is not None, "the result that ships is over the article's own data"
    heads = say("Digits"), say("Angle, at worst"), say("Test error, at worst"), say("Most accurate λ")
    facts = {"outside": len(agreement.exceptions), "pairs": len(figures.pairs)}
    outside = say("Beyond 2 degrees or half a point: **{outside} of {pairs} pairs**", **facts)
    st.markdown(f"{outside}{': ' if agreement.exceptions else ''}{', '.join(agreement.exceptions)}")
    with st.expander(say("Every pair")):
        rows = [_row(index, figures, agreement) for index in range(len(figures.pairs))]
        comparison_table.beside([*heads, say("Test error"), say("Angle")], rows)


def _row(index: int, figures: SVMPairsFigures, agreement: Agreement) -> list[str | Cell]:
    """Return the row of pair number ``index``."""
    name, best = figures.pairs[index], figures.best
    worst = agreement.worst[name]
    return [
        say("{one} and {other}", one=name[0], other=name[1]),
        Cell(worst.angle_degrees, unit="°", digits=2),
        Cell(worst.test_error, scale=100, unit=f" {say('points')}", digits=2),
        f"10^{figures.log_lambda[best.index[index]]:g}",
        Cell(best.test_error[index], scale=100, unit=" %"),
        Cell(math.degrees(best.angle[index]), unit="°"),
    ]
