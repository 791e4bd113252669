"""Chapter 9: an attack beside chance of the same size; what it survives; whom else it fools."""

from __future__ import annotations

import streamlit as st

from app.subject import wake

LAB, ORDER = "Tour", 90
EXPERIMENT = "survival"


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import cast, lesson
    from components import survival as shown

    with lesson.page("just_noise") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            with st.container(horizontal=True, vertical_alignment="bottom", gap="large"):
                epsilon = shown.strength()
                place = st.container()
            with place:
                found = shown.result(service.engine(), playing, epsilon)
            if found:
                shown.side_by_side(found["figures"])
        if not found:
            return
        with lesson.part():
            st.markdown(said["handling"])
            shown.handling(found["figures"])
        with lesson.part():
            st.markdown(said["transfer"])
            shown.transfer(found["figures"])
        with lesson.part():
            shown.claims(found)
        lesson.source("Kurakin et al. 2016", "https://arxiv.org/abs/1607.02533")
