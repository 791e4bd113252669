"""Chapter 10: what defends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st
from scipy.special import softmax

import models
from app import service, shipped_recipes
from app.access import base
from components.display import comparison_table
from components.display.comparison_table import Cell
from components.display.probability_bars import odds
from components.i18n import preferences
from components.i18n.text import named, say
from components.lesson import layout, slides
from components.lesson.live_run import begin, begun, follow, origin
from components.lesson.questions import RightAnswer
from components.widgets import image_picker
from engine.links import DEFAULT
from experiments.toolkit import codec
from models.records import read_record

NETS = ("photos", "photos_robust")
PLAIN = "motorcycle"
LABS = ("adversarial_training", "calibration", "tilt", "lenet_decay")


def render() -> None:
    """Draw the chapter."""
    with layout.page("defences", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            st.markdown(prose("twin"))
            _facts()
        with layout.part():
            _side_by_side(_shared(playing.image, prose("differ")), prose("go"))
        with layout.part():
            st.markdown(prose("temperature"))
            _temperature(playing.image)
        with layout.part():
            st.markdown(prose("labs"))
            _labs()


def answer() -> RightAnswer:
    """Return how often the robust twin is right under attack, as its training measured it."""
    measured = _measured()
    clean, attacked = measured.robust
    share = measured.robust[attacked]
    facts = {"robust": f"{share:g} %", "plain": f"{measured.photos[attacked]:g} %"}
    facts |= {"clean": f"{measured.robust[clean]:g} %", "clean_plain": f"{measured.photos[clean]:g} %"}
    return RightAnswer(0 if share < 30 else 1 if share <= 80 else 2, facts | {"n": str(measured.judged)})


@dataclass(frozen=True)
class Robustness:
    """How often the twins are right on ``judged`` photos, in per cent: clean, attacked by ``epsilon``."""

    epsilon: float
    judged: int
    photos: dict[str, float]
    robust: dict[str, float]


def _measured() -> Robustness:
    """Return what the robust twin's training measured of both."""
    return codec.load(read_record("photos_robust")["robust"], Robustness)


def _facts() -> None:
    """Show how often each of the twins is right, clean and attacked, as their training measured it."""
    measured = _measured()
    heads = [say("Network"), *(say("Right, {kind}", kind=say(kind)) for kind in measured.photos)]
    shares = dict(zip(NETS, (measured.photos, measured.robust), strict=True))
    rows: list[list[str | Cell]] = [
        [models.card(name).title, *(Cell(value, unit=" %") for value in shares[name].values())]
        for name in NETS
    ]
    comparison_table.beside(heads, rows)
    facts = {"n": measured.judged, "epsilon": f"{measured.epsilon * 255:g}"}
    st.caption(say("Held-out photos: {n}; no pixel moved by more than {epsilon} of 255; seed 0.", **facts))


def _shared(image: str, sentence: str) -> str:
    """Return the tour's picture if both nets name it alike; else say so, and return another."""
    names = [service.engine().classify(net, image)[0].label for net in NETS]
    if names[0] == names[1]:
        return image
    words = {"picture": image_picker.picture_title(image), "other": image_picker.picture_title(PLAIN)}
    with layout.aside():
        st.markdown(sentence.format(first=named(names[0]), second=named(names[1]), **words))
    return PLAIN


def _side_by_side(image: str, words: str) -> None:
    """Let the reader attack both nets at once, and watch them side by side."""
    engine, recipes = service.engine(), shipped_recipes.twins(image)
    if st.button(
        words, type="primary", key="defences.press", icon=":material/play_arrow:", shortcut=slides.enter()
    ):
        for recipe in recipes:
            begin(engine, recipe, recipe.model)
    if not any(begun(engine, recipe, recipe.model) for recipe in recipes):
        st.caption(origin(shipped_recipes.twins(DEFAULT.image)[0]))
    for column, recipe in zip(st.columns(2, gap="medium"), recipes, strict=True):
        with column:
            st.markdown(f"**{models.card(recipe.model).title}**")
            follow(engine, base(), recipe, recipe.model, beside=True, shipped=f"twins-{recipe.model}")


def _temperature(image: str) -> None:
    """Let the reader heat the answer: the probabilities change, the answer does not."""
    ranking = service.engine().classify("photos", image)
    heat = st.select_slider(say("Temperature"), (0.25, 0.5, 1.0, 2.0, 4.0, 8.0), 1.0, key="defences.heat")
    p = softmax(np.log(np.maximum([answer.probability for answer in ranking], 1e-30)) / heat)
    odds([(answer.label, float(p[i])) for i, answer in enumerate(ranking[:4])], ranking[0].label)


def _labs() -> None:
    """Link the lessons that go on from here."""
    ways = st.session_state.get("ways", {})
    for name in LABS:
        if name in ways:
            st.page_link(ways[name].page, query_params=preferences.query())
