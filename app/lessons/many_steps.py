"""Chapter 6: many small steps, and what lies on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app.access import base
from app.subject import wake

if TYPE_CHECKING:
    from components.cast import Cast
    from engine.run import Run

LAB, ORDER = "Tour", 60
TARGETS = ("vulture", "bird", "cat")
LEVELS = (0.9, 2.0, 4.0, 9.0)


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import black, cast, lesson, reader
    from engine.saved import PREFIX

    with lesson.page("many_steps") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            st.markdown(said["nine"])
            black.many("arithmetic", playing.model, said["press"])
        with lesson.part():
            st.markdown(said["chance"])
            black.chance("rounding", "arithmetic")
        with lesson.part():
            told = st.empty()
            told.markdown(said["hundred"])
            run = _hundred(playing, said["go"])
            if run is not None and reader.presenting():
                told.empty()  # the slide is full
            if run is not None and run.over and not run.id.startswith(PREFIX):
                _path(run, said["path"])
        with lesson.part():
            st.markdown(said["between"])
            _between(playing)


def _hundred(playing: Cast, words: str) -> Run | None:
    """Let the reader start a hundred small steps and watch them."""
    from app import service
    from components import classes, screen, shipped
    from components.stage import follow, ready
    from components.text import named, say

    engine, card = service.engine(), playing.card
    first = engine.classify(playing.model, playing.image)[0].label
    wished = next(label for label in TARGETS if label in card.labels and label != first)
    with st.container(horizontal=True, vertical_alignment="bottom", key="setup"):
        key = f"many_steps.{playing.model}"
        target = classes.picker(say("Make it say"), card.labels, first, wished, key)
        first_level = LEVELS[1] if card.size > 200 else LEVELS[3]  # fewer pixels must move farther
        key = f"many_steps.levels.{card.size}"
        levels = st.select_slider(
            say("How far in all, in grey levels"), LEVELS, first_level, key=key, width=260
        )
        place = st.container(width="content") if screen.here() else None
    recipe = shipped.hundred(playing.model, playing.image, card.label_index(target), levels)
    with place or st.container():
        ready(engine, recipe, words.format(label=named(first), target=named(target)), "hundred")
    return follow(engine, base(), recipe, "hundred", shipped="hundred")


def _path(run: Run, sentence: str) -> None:
    """Say which classes were named on the way."""
    from components.stage import stretches
    from components.text import named

    ways = " → ".join(f"**{named(label)}** ({first}–{last})" for label, first, last in stretches(run))
    st.markdown(sentence.format(path=ways))


def _between(playing: Cast) -> None:
    """Show which classes are named between which."""
    from components import cast, trial, verdicts
    from components.text import named, say

    result = trial.result(
        "between", say("Go all these ways with {network}", network=playing.card.title), model=playing.model
    )
    rows = [
        [
            f"{cast.picture_title(name)} ({named(row['is'])})",
            named(way["target"]),
            _stations(way),
            _arrival(way),
        ]
        for name, row in result["figures"]["rows"].items()
        for way in row["ways"]
    ]
    with st.container(key="between"):
        verdicts.words([say("Picture"), say("To"), say("Named on the way"), say("Step")], rows)
    verdicts.claims(result["claims"])


def _stations(way: dict[str, Any]) -> str:
    from components.text import named

    return " → ".join(named(label) for label, _ in way["named"])


def _arrival(way: dict[str, Any]) -> str:
    return "—" if way["reached"] is None else str(way["reached"])
