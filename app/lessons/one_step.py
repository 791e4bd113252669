"""Chapter 5: one step along the sign of the gradient."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.subject import wake

if TYPE_CHECKING:
    from components.cast import Cast
    from experiments.signs import Steps

LAB, ORDER = "Tour", 50
SIZE = 0.9 / 255


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import black, cast, lesson, verdicts
    from components.text import say
    from experiments import vulture

    with lesson.page("one_step") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            st.markdown(said["black"])
            result = black.steps(playing.model, said["steps"])
            _black(playing._replace(model=result["settings"]["model"]), result["figures"], said["below"])
            verdicts.claims(result["claims"], folded=True)
        with lesson.part():
            st.markdown(said["away"])
            _away(playing, said["leave"], "small")
        with lesson.part():
            st.markdown(said["eps"])
            _away(playing, said["press"], "famous")
        lesson.source(say("How to trick a neural network into thinking a panda is a vulture"), vulture.URL)


def _black(playing: Cast, figures: dict[str, Any], below: str) -> None:
    """Show black before and after, the article's numbers beside ours, and the change enlarged."""
    from components import black, verdicts, views
    from components.odds import percent
    from components.text import named, say

    target, exact = figures["target"], black.exactly("arithmetic", playing.model, nine=False)
    cut = figures["ways"]["one step, cut"]["curves"]
    left, right = st.columns([2, 5], gap="large")
    with left:
        delta = _step(playing._replace(image="plain:0"), target).x.diff(dim=0)[0]
        views.change(delta, 50, say("The step, 50 times enlarged"))
        st.markdown(below.format(label=named(target), share=percent(cut[target][-1])))
    with right:
        if exact:
            head = [say("As Caffe sums"), say("Black"), say("After one step (.9, rounded to 1)")]
            verdicts.beside(head, black.digits(exact, "black", "one step"))
            return
        black.ends(figures)
        black.why(playing.model)


def _step(playing: Cast, target: str) -> Steps:
    """Return the step from the reader's picture towards ``target``, below black too."""
    from app import service
    from components import views
    from components.kept import kept
    from experiments.signs import step

    engine = service.engine()
    ask, x = partial(engine.inquire, playing.model), views.see(engine, playing)[None]
    index = playing.card.label_index(target)
    return kept(("step", playing, target), lambda: step(ask, x, index, [SIZE], cut=False))


def _away(playing: Cast, words: str, size: str) -> None:
    """Let the reader step away from what the network says, and show both answers; the shipped ones first."""
    from app import service
    from components import cast, trial, views
    from components.odds import odds
    from components.text import named, say
    from experiments.step_away import SIZES
    from experiments.store import Memory

    engine = service.engine()
    words = words.format(label=named(engine.classify(playing.model, playing.image)[0].label))
    store = Memory() if cast.own(playing.image) else None
    result = trial.result(
        "step_away",
        words,
        size,
        store,
        model=playing.model,
        image=playing.image,
        open=engine.picture,
    )
    shown = cast.Cast(result["settings"]["model"], result["settings"]["image"])
    taken = result["figures"]["steps"][size]
    columns = st.columns([3, 4, 4], gap="medium", vertical_alignment="center")
    with columns[0]:
        views.seen(engine, shown, cast.picture_title(shown.image), cast.credit(shown.image))
    heads = say("Before"), say("After {size} grey levels", size=f"{SIZES[size]:.2g}")
    for column, head, top in zip(columns[1:], heads, (taken["before"], taken["after"]), strict=True):
        with column:
            st.markdown(f"**{head}**")
            odds([(label, probability) for label, probability in top], taken["own"])
