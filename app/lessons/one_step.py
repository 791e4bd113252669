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
FAMOUS = 0.007


def render() -> None:
    """Draw the chapter."""
    wake()
    from app import service
    from components import cast, lesson, trial, verdicts
    from components.text import say
    from experiments import vulture

    with lesson.page("one_step") as said:
        with lesson.aside():
            playing = cast.pick(service.engine())
        with lesson.part():
            st.markdown(said["black"])
            if lesson.pressed(said["press"], "one_step.black", playing.model):
                result = trial.computed("black", model=playing.model)
                _black(playing, result["figures"], said["below"])
                verdicts.claims(result["claims"], folded=True)
        with lesson.part():
            st.markdown(said["away"])
            _away(playing, said["leave"])
        with lesson.part():
            st.markdown(said["eps"])
            _away(playing, said["press"], FAMOUS)
        lesson.source(say("How to trick a neural network into thinking a panda is a vulture"), vulture.URL)


def _black(playing: Cast, figures: dict[str, Any], below: str) -> None:
    """Show black before and after, the article's numbers beside ours, and the change enlarged."""
    from components import black, verdicts, views
    from components.odds import percent
    from components.text import say

    target, exact = figures["target"], black.exactly("arithmetic", playing.model, nine=False)
    curves, cut = figures["ways"]["one step"]["curves"], figures["ways"]["one step, cut"]["curves"]
    left, right = st.columns([2, 5], gap="large")
    with left:
        views.change(
            _step(playing._replace(image="plain:0"), target).x.diff(dim=0)[0],
            50,
            say("The step, 50 times enlarged"),
        )
        st.markdown(below.format(label=target, share=percent(cut[target][-1])))
    with right:
        if exact:
            head = [say("As Caffe sums"), say("Black"), say("After one step (.9, rounded to 1)")]
            verdicts.beside(head, black.digits(exact, "black", "one step"))
            return
        first = sorted(curves.items(), key=lambda item: -item[1][-1])[:5]
        rows = [[label, _cell(values[0]), _cell(values[-1])] for label, values in first]
        verdicts.beside([say("Class"), say("Black"), say("After one step")], rows)
        black.why(playing.model)


def _cell(probability: float) -> Any:
    from components.verdicts import Cell

    return Cell(probability, scale=100, unit=" %")


def _step(playing: Cast, target: str) -> Steps:
    """Return the step from the cast's picture towards ``target``, below black too."""
    from app import service
    from components import views
    from components.kept import kept
    from experiments.signs import step

    engine = service.engine()
    ask, x = partial(engine.inquire, playing.model), views.see(engine, playing)[None]
    index = playing.card.label_index(target)
    return kept(("step", playing, target), lambda: step(ask, x, index, [SIZE], cut=False))


def _away(playing: Cast, words: str, size: float = SIZE) -> None:
    """Let the reader step away from what the network says, and show both answers."""
    from app import service
    from components import lesson, views
    from components.kept import kept
    from components.odds import odds
    from components.text import say
    from experiments.signs import step

    engine = service.engine()
    first = engine.classify(playing.model, playing.image)[0]
    if not lesson.pressed(words.format(label=first.label), f"one_step.{size:.3g}", *playing):
        return
    ask, x = partial(engine.inquire, playing.model), views.see(engine, playing)[None]
    steps = kept(("away", playing, size), lambda: step(ask, x, first.index, [-size], cut=True))
    columns = st.columns([3, 4, 3, 4], gap="small", vertical_alignment="center")
    heads = say("Before"), say("After {size} grey levels", size=f"{255 * size:.2g}")
    for index, (head, picture, p) in enumerate(zip(heads, steps.x, steps.p, strict=True)):
        with columns[2 * index]:
            views.picture(picture, head, head)
        with columns[2 * index + 1]:
            best = p.topk(5)
            names = [playing.card.labels[i] for i in best.indices.tolist()]
            odds(list(zip(names, best.values.tolist(), strict=True)), first.label)
