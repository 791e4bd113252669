"""Chapter 9: an attack beside chance of the same size; what it survives; whom else it fools."""

from __future__ import annotations

import streamlit as st

from app import service
from app.lessons.tour import noise_panels as shown
from components.lesson import layout
from components.widgets import image_picker


def render() -> None:
    """Draw the chapter."""
    with layout.page("just_noise") as prose:
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
