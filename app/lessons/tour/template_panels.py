"""The templates of a linear classifier on a page: as pictures, added to a photo, compared."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from components.display import comparison_table
from components.display.comparison_table import Cell, cell
from components.display.image_grid import Tile, tiles
from components.display.probability_bars import odds, percent
from components.i18n.text import named, say
from engine.run import Floats
from experiments.karpathy2015.templates import DecayFigures, Linear, TemplatesFigures
from experiments.toolkit.image_sheets import colour


def pictures(figures: TemplatesFigures, row: DecayFigures) -> None:
    """Show the templates of one weight decay, each with the question that it asks, and the errors."""
    shown = []
    for name, png, asks in zip(figures.classes, row.pictures, row.asks, strict=True):
        question = say("“is it {colour}?”", colour=say(asks))
        alt = say(
            "The template of {name}; on the whole it asks {question}", name=named(name), question=question
        )
        shown.append(Tile(png, alt, f"{named(name)}: {question}"))
    with st.container(key="template_pictures"):
        tiles([shown[:5], shown[5:]], least="56px")
    words = "Wrong answers: {train} of the training photos, {test} of {n} new ones; guessing: {guess}."
    facts = {"train": percent(row.train.value), "test": percent(row.test.value)}
    guess = percent(1 - 1 / len(figures.classes))
    st.caption(say(words, n=row.test.n, guess=guess, **facts))


def added(net: Linear, x: Floats, target: int, alpha: float, classes: Sequence[str]) -> None:
    """Show the picture before and after with what is added, and the probabilities after."""
    after = net.added(x, target, alpha)
    p, q = net.probabilities(x), net.probabilities(after)
    was, now = (max(range(len(classes)), key=values.__getitem__) for values in (p, q))
    shown = [(x, say("Before"), was, p), (after, say("After"), now, q)]
    tiles(
        [
            [
                Tile(
                    colour(picture),
                    f"{name}: {named(classes[i])}",
                    f"{name}: {named(classes[i])}, {percent(s[i])}",
                )
                for picture, name, i, s in shown
            ]
        ]
    )
    top = sorted(range(len(classes)), key=q.__getitem__, reverse=True)[:4]
    odds([(classes[i], q[i]) for i in top], classes[now] if now != was else "")


def compare(figures: TemplatesFigures) -> None:
    """Show, for each decay, how rough the templates are, the errors, and how far other answers are."""
    head = ["Weight decay", "Wrong in training", "Wrong on new photos", "To the nearest other answer (l2)"]
    rows: list[list[str | Cell]] = [
        [
            f"{row.decay:g}",
            Cell(row.train.value, scale=100, unit=" %"),
            cell(row.test, scale=100, unit=" %"),
            cell(row.distance),
        ]
        for row in figures.decays
    ]
    comparison_table.beside([say(words) for words in head], rows)
