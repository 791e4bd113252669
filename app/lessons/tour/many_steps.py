"""Chapter 6: many small steps, and what lies on the way."""

from __future__ import annotations

import streamlit as st

from app import service, shipped_recipes
from app.access import base
from app.lessons.tour import black_panels
from components.display import comparison_table
from components.display.probability_bars import percent
from components.i18n import preferences
from components.i18n.text import named, say
from components.lesson import experiment_panel, layout, tabs
from components.lesson.live_run import follow, ready, stretches
from components.lesson.questions import RightAnswer
from components.widgets import class_picker, image_picker
from components.widgets.image_picker import Subject
from engine import saved
from engine.run import Run
from engine.saved import PREFIX
from experiments.evans2016.between import Between, ClassPath

TARGETS = ("vulture", "bird", "cat")
LEVELS = (0.9, 2.0, 4.0, 9.0)


def render() -> None:
    """Draw the chapter."""
    with layout.page("many_steps", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            st.markdown(prose("nine"))
            black_panels.many(playing.model, prose("press"))
        with layout.part():
            st.markdown(prose("chance"))
            black_panels.chance()
        with layout.part():
            story = st.empty()
            story.markdown(prose("hundred"))
            run = _hundred(playing, prose("go"))
            if run is not None and preferences.presenting():
                story.empty()  # the slide is full
            if run is not None and run.over and not run.id.startswith(PREFIX):
                _path(run, prose("path"))
        with layout.part():
            st.markdown(prose("between"))
            _between(playing)


def answer() -> RightAnswer:
    """Return when the target is first ahead in the run that ships."""
    run = saved.read("hundred")
    ahead = next((step for step in range(len(run)) if run.succeeded(step)), None)
    number = 3 if ahead is None else 0 if ahead <= 25 else 1 if ahead <= 75 else 2
    last, goal = run.top(len(run) - 1, 1)[0], run.labels[run.recipe.target or 0]
    facts = {"label": last.label, "share": percent(last.probability), "goal": goal}
    return RightAnswer(number, facts | {"step": "—" if ahead is None else str(ahead)})


def _hundred(playing: Subject, words: str) -> Run | None:
    """Let the reader start a hundred small steps and watch them."""
    engine, card = service.engine(), playing.card
    first = engine.classify(playing.model, playing.image)[0].label
    wished = next(label for label in TARGETS if label in card.labels and label != first)
    with st.container(horizontal=True, vertical_alignment="bottom", key="setup"):
        key = f"many_steps.{playing.model}"
        target = class_picker.picker(say("Make it say"), card.labels, first, wished, key)
        first_level = LEVELS[1] if card.size > 200 else LEVELS[3]  # fewer pixels must move farther
        key = f"many_steps.levels.{card.size}"
        levels = st.select_slider(
            say("How far in all, in grey levels"), LEVELS, first_level, key=key, width=260
        )
        place = st.container(width="content") if tabs.here() else None
    recipe = shipped_recipes.hundred(playing.model, playing.image, card.label_index(target), levels)
    with place or st.container():
        ready(engine, recipe, words.format(label=named(first), target=named(target)), "hundred")
    return follow(engine, base(), recipe, "hundred", shipped="hundred")


def _path(run: Run, sentence: str) -> None:
    """Say which classes were named on the way."""
    path = " → ".join(f"**{named(label)}** ({first}–{last})" for label, first, last in stretches(run))
    st.markdown(sentence.format(path=path))


def _between(playing: Subject) -> None:
    """Show which classes are named between which."""
    result = experiment_panel.result(
        Between, say("Go all these ways with {network}", network=playing.card.title), model=playing.model
    )
    rows = [
        [
            f"{image_picker.picture_title(name)} ({named(row.label)})",
            named(path.target),
            " → ".join(named(label) for label, _ in path.named),
            _arrival(path),
        ]
        for name, row in result.figures.rows.items()
        for path in row.paths
    ]
    with st.container(key="between"):
        comparison_table.words([say("Picture"), say("To"), say("Named on the way"), say("Step")], rows)
    comparison_table.claims(result.claims)


def _arrival(path: ClassPath) -> str:
    return "—" if path.reached is None else str(path.reached)
