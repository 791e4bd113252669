"""An experiment's result on a page: the one that ships, or one computed on the spot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import experiments
import models
from components.i18n.text import say, told
from components.lesson import slides
from components.lesson.stage_titles import called
from components.widgets import mnist_fetch
from engine.lab_queue import shared
from errors import FoolscopeError
from experiments.cache import Store
from experiments.core import A, Experiment, F, Progress, Result, Stage, stored
from experiments.datasets.digit_sets import source, source_of
from experiments.work import usual_store, walked


def result(
    kind: type[Experiment[A, F]], words: str, part: str = "", store: Store | None = None, /, **settings: Any
) -> Result[F]:
    """Show where the result of an experiment comes from and a button ``words`` that computes it anew with
    ``settings``, with its progress; return the result to show.

    A result that ships stays on the page until a new one is whole; stages carried out before are stored in
    ``store``, by default `experiments.work.usual_store`. ``part``: which of the page's buttons for it this
    is.
    """
    key = f"trial.{kind.card.name}"
    shown: Result[F] | None = st.session_state.get(key) or experiments.shipped(kind)
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}{part}.bar"):
        pressed = st.button(
            words, key=f"{key}{part}.run", icon=":material/play_arrow:", shortcut=slides.enter()
        )
        place = st.empty()
    if pressed or shown is None:
        with place:
            st.session_state[key] = shown = _computed(kind, settings, store) or shown
    if shown is None:
        st.stop()
    place.caption(_origin(shown, live=key in st.session_state))
    _offer(kind)
    return shown


def watched(
    experiment: Experiment[A, F],
    draw: Callable[[Sequence[tuple[Stage, A]]], None],
    store: Store | None = None,
) -> Result[F] | None:
    """Carry out ``experiment`` under a bar of progress, with ``draw`` called after each stage with all stages
    that are done and their answers; return its result, or None after saying why there is none.

    Answers are stored in ``store``, by default `experiments.work.usual_store`, so that a reader who left in
    between goes on from there.
    """
    store = store or usual_store()
    mine = store.under(experiment.folder())
    stages = experiment.stages()

    def after(at: Progress) -> None:
        if at.done:
            draw([(stage, stored(mine, stage)) for stage in stages[: at.done]])

    return carried_out(
        experiment, store, lambda at: say("{done} of {total} cells", done=at.done, total=at.total), after
    )


def carried_out(
    experiment: Experiment[A, F],
    store: Store,
    words: Callable[[Progress], str],
    after: Callable[[Progress], None] = lambda at: None,
) -> Result[F] | None:
    """Carry out an experiment, once it is its turn, under a bar of progress with a button that cancels it;
    return its result, or None after saying why there is none.

    ``words``: what stands over the bar; ``after`` is called before each stage and after the last. A visitor
    who cancels, presses something else or leaves ends it at the page's next call of Streamlit.
    """
    place = st.empty()
    bar = _bar(place, experiment.card.name)

    def waiting(ahead: int) -> None:
        bar.progress(0.0, say("Waiting for {ahead} before this one…", ahead=ahead))

    try:
        with shared().turn(waiting):
            for at in walked(experiment, store):
                if isinstance(at, Result):
                    place.empty()
                    return at
                after(at)
                bar.progress(at.done / at.total, words(at))
    except FoolscopeError as error:
        place.empty()
        st.error(told(error))
    return None


def _bar(place: DeltaGenerator, name: str) -> DeltaGenerator:
    """Return a bar of progress in ``place``, with a button beside it: pressing it draws the page anew, which
    ends the present drawing and what it computes."""
    with place.container(horizontal=True, vertical_alignment="center", key=f"lab.{name}.progress"):
        bar = st.progress(0.0, say("Starting…"))
        st.button(say("Cancel"), key=f"lab.{name}.cancel", type="tertiary", icon=":material/close:")
    return bar


def shipped(kind: type[Experiment[A, F]], name: str = "") -> Result[F]:
    """Return the result that ships (in the file ``name``); where there is none, say so and end the page."""
    shipped = experiments.shipped(kind, name=name)
    if shipped is None:
        words = "Expected assets/results/{name}.json; python -m experiments {name} writes it."
        st.error(say(words, name=name or kind.card.name))
        st.stop()
    return shipped


def computed(kind: type[Experiment[A, F]], *, quiet: bool = False, **settings: Any) -> Result[F]:
    """Return the result of an experiment with ``settings``, with its progress while it is computed; this
    visitor's last one is remembered. When it cannot be computed the page says why and ends.

    ``quiet``: where it comes from is not said, because another result beside it says so.
    """
    digits = source() if kind.card.digits else ""
    key = f"trial.{kind.card.name}.{sorted(settings.items())}{digits}"
    if key not in st.session_state:
        place = st.empty()
        with place.container():
            st.session_state[key] = _computed(kind, settings)
        if st.session_state[key] is None:
            del st.session_state[key]
            st.stop()
        place.empty()
    result: Result[F] = st.session_state[key]
    if not quiet:
        st.caption(_origin(result, live=True))
    _offer(kind)
    return result


def _offer(kind: type[Experiment[A, F]]) -> None:
    """Offer MNIST beside an experiment that computes on digits."""
    if kind.card.digits:
        mnist_fetch.offer()


def _computed(
    kind: type[Experiment[A, F]], settings: dict[str, Any], store: Store | None = None
) -> Result[F] | None:
    try:
        experiment = kind(**settings)
    except FoolscopeError as error:
        st.error(told(error))
        return None

    def words(at: Progress) -> str:
        return say("{done} of {total}: {piece}", done=at.done, total=at.total, piece=called(at.stage))

    return carried_out(experiment, store or usual_store(), words)


def _origin(shown: Result[F], live: bool) -> str:
    facts = {"n": f"{shown.n:,}", "seed": shown.seed, "seconds": f"{shown.seconds:,.0f}"}
    network = shown.settings.get("model")
    if not live and network:
        words = "Ships with the program: {network}, n = {n}, seed {seed}, {seconds} s of work."
        return say(words, network=models.card(str(network)).title, **facts)
    if not live:
        return say("Ships with the program: n = {n}, seed {seed}, {seconds} s of work.", **facts)
    data = source_of(shown.data) or getattr(shown.figures, "on", None) or shown.data
    if not isinstance(data, str):
        return say("Computed here just now: n = {n}, seed {seed}, {seconds} s of work.", **facts)
    words = "Computed here just now, on {data}: n = {n}, seed {seed}, {seconds} s of work."
    return say(words, data=say(data), **facts)
