"""Chapter 9: an attack beside chance of the same size; what it survives; whom else it fools."""

from __future__ import annotations

import streamlit as st

from app import service
from app.lessons.tour import noise_panels as shown
from components.display.probability_bars import percent
from components.lesson import experiment_panel, layout
from components.lesson.questions import RightAnswer
from components.widgets import image_picker
from experiments.evans2016.survival import Survival


def render() -> None:
    """Draw the chapter."""
    with layout.page("just_noise", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
                epsilon = shown.strength()
                place = st.container()
            with place:
                result = shown.result(service.engine(), playing, epsilon)
            if result:
                shown.side_by_side(result.figures)
        if not result:
            return
        with layout.part():
            st.markdown(prose("handling"))
            shown.corruptions(result.figures)
        with layout.part():
            st.markdown(prose("transfer"))
            shown.transfer(result.figures)
        with layout.part():
            shown.claims(result)
        layout.source("Kurakin et al. 2016", "https://arxiv.org/abs/1607.02533")


def answer() -> RightAnswer:
    """Return what the network says of the attacked picture as a JPEG, in the result that ships."""
    figures = experiment_panel.shipped(Survival).figures
    file = figures.corruptions["JPEG 75"].attack
    number = 0 if file.label == figures.attack.label else 2 if file.fooled else 1
    facts = {"label": file.label, "share": percent(file.probability)}
    attacked = {"goal": figures.attack.label, "before": percent(figures.attack.probability)}
    return RightAnswer(number, facts | attacked)
