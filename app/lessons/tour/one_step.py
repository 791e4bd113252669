"""Chapter 5: one step along the sign of the gradient."""

from __future__ import annotations

import streamlit as st

from app import service
from app.lessons.tour import black_panels
from components.display import comparison_table, image_views
from components.display.probability_bars import odds, percent
from components.i18n.text import named, say
from components.lesson import experiment_panel, layout
from components.lesson.questions import RightAnswer
from components.lesson.session_cache import kept
from components.widgets import image_picker
from components.widgets.image_picker import Subject
from engine.run import Floats
from engine.work import only_answer
from experiments.cache import Memory
from experiments.evans2016 import article
from experiments.evans2016.black import ONE, BlackFigures
from experiments.evans2016.step_away import SIZES, StepAway
from experiments.methods.sign_steps import OneStep

SIZE = 0.9 / 255


def render() -> None:
    """Draw the chapter."""
    with layout.page("one_step", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            st.markdown(prose("black"))
            result = black_panels.steps(playing.model, prose("steps"))
            _black(playing._replace(model=str(result.settings["model"])), result.figures, prose("below"))
            comparison_table.claims(result.claims, folded=True)
        with layout.part():
            st.markdown(prose("away"))
            _away(playing, prose("leave"), "small")
        with layout.part():
            st.markdown(prose("eps"))
            _away(playing, prose("press"), "famous")
        layout.source(say("How to trick a neural network into thinking a panda is a vulture"), article.URL)


def answer() -> RightAnswer:
    """Return what the step of .007 does in what ships; "about as sure" is nine tenths of before."""
    taken = experiment_panel.shipped(StepAway).figures.steps["famous"]
    (label, share), (original, before) = taken.after[0], taken.before[0]
    number = 2 if label != original else 0 if share >= 0.9 * before else 1
    facts = {"label": label, "share": percent(share), "original": original, "before": percent(before)}
    return RightAnswer(number, facts)


def _black(playing: Subject, figures: BlackFigures, below: str) -> None:
    """Show black before and after, the article's numbers beside ours, and the change enlarged."""
    target, exact = figures.target, black_panels.exactly(playing.model, nine=False)
    cut = figures.walks[f"{ONE}, cut"].curves
    left, right = st.columns([2, 5], gap="large")
    with left:
        delta = _step(playing._replace(image="plain:0"), target)
        image_views.change(delta, 50, say("The step, 50 times enlarged"))
        st.markdown(below.format(label=named(target), share=percent(cut[target][-1])))
    with right:
        if exact:
            head = [say("As Caffe sums"), say("Black"), say("After one step (.9, rounded to 1)")]
            comparison_table.beside(head, black_panels.digits(exact, "black", "one step"))
            return
        black_panels.ends(figures)
        black_panels.why(playing.model)


def _step(playing: Subject, target: str) -> Floats:
    """Return the step from the reader's picture towards ``target``, below black too."""
    engine, index = service.engine(), playing.card.label_index(target)
    work = OneStep(playing.model, image_views.see(engine, playing), index, SIZE)
    return kept(("step", playing, target), lambda: only_answer(engine, work))


def _away(playing: Subject, words: str, size: str) -> None:
    """Let the reader step away from what the network says, and show both answers; the shipped ones first."""
    engine = service.engine()
    words = words.format(label=named(engine.classify(playing.model, playing.image)[0].label))
    store = Memory() if image_picker.own(playing.image) else None
    result = experiment_panel.result(
        StepAway,
        words,
        size,
        store,
        model=playing.model,
        image=playing.image,
        open=engine.picture,
    )
    shown = image_picker.Subject(str(result.settings["model"]), str(result.settings["image"]))
    taken = result.figures.steps[size]
    columns = st.columns([3, 4, 4], gap="medium", vertical_alignment="center")
    with columns[0]:
        image_views.seen(
            engine, shown, image_picker.picture_title(shown.image), image_picker.credit(shown.image)
        )
    heads = say("Before"), say("After {size} grey levels", size=f"{SIZES[size]:.2g}")
    for column, head, top in zip(columns[1:], heads, (taken.before, taken.after), strict=True):
        with column:
            st.markdown(f"**{head}**")
            odds(top, taken.own)
