"""An experiment's result on a page: the one that ships, or one computed on the spot."""

from __future__ import annotations

from typing import Any

import streamlit as st

import experiments
import models
from components.i18n.text import say, told
from components.lesson import slides
from components.lesson.stage_titles import called
from components.widgets import mnist_fetch
from errors import FoolscopeError
from experiments.cache import Store, cache
from experiments.core import Progress, walk
from experiments.datasets.digit_sets import source, source_of


def result(
    name: str, words: str, part: str = "", store: Store | None = None, /, **settings: Any
) -> dict[str, Any]:
    """Show where the result of the experiment ``name`` comes from and a button ``words`` that computes it
    anew with ``settings``, with its progress; return the result to show.

    A result that ships stays on the page until a new one is whole; pieces computed before are kept in
    ``store``, in the server's cache by default. ``part``: which of the page's buttons for it this is.
    """
    key = f"trial.{name}"
    shown: dict[str, Any] | None = st.session_state.get(key) or experiments.shipped(name)
    with st.container(horizontal=True, vertical_alignment="center", key=f"{key}{part}.bar"):
        pressed = st.button(
            words, key=f"{key}{part}.run", icon=":material/play_arrow:", shortcut=slides.enter()
        )
        place = st.empty()
    if pressed or shown is None:
        with place:
            st.session_state[key] = shown = _computed(name, settings, store) or shown
    if shown is None:
        st.stop()
    place.caption(_origin(shown, live=key in st.session_state))
    _offer(name)
    return shown


def shipped(name: str) -> dict[str, Any]:
    """Return the result that ships; where there is none, say so and end the page."""
    found = experiments.shipped(name)
    if found is None:
        st.error(
            say("Expected assets/results/{name}.json; python -m experiments {name} writes it.", name=name)
        )
        st.stop()
    return found


def computed(name: str, *, quiet: bool = False, **settings: Any) -> dict[str, Any]:
    """Return the result of the experiment with ``settings``, with its progress while it is computed; this
    visitor's last one is kept. When it cannot be computed the page says why and ends.

    ``quiet``: where it comes from is not said, because another result beside it says so.
    """
    key = f"trial.{name}.{sorted(settings.items())}{source() if _of_digits(name) else ''}"
    if key not in st.session_state:
        place = st.empty()
        with place.container():
            st.session_state[key] = _computed(name, settings)
        if st.session_state[key] is None:
            del st.session_state[key]
            st.stop()
        place.empty()
    found: dict[str, Any] = st.session_state[key]
    if not quiet:
        st.caption(_origin(found, live=True))
    _offer(name)
    return found


def _offer(name: str) -> None:
    """Offer MNIST beside an experiment that computes on digits."""
    if _of_digits(name):
        mnist_fetch.offer()


def _of_digits(name: str) -> bool:
    return experiments.get(name).card.digits


def _computed(name: str, settings: dict[str, Any], store: Store | None = None) -> dict[str, Any] | None:
    try:
        experiment = experiments.get(name)(**settings)
        bar = st.progress(0.0, say("Starting…"))
        for each in walk(experiment, store or Store(cache())):
            if not isinstance(each, Progress):
                return each
            at = {"done": each.done, "total": each.total, "piece": called(each.piece)}
            bar.progress(each.done / each.total, say("{done} of {total}: {piece}", **at))
    except FoolscopeError as error:
        st.error(told(error))
    return None


def _origin(shown: dict[str, Any], live: bool) -> str:
    facts = {"n": f"{shown['n']:,}", "seed": shown["seed"], "seconds": f"{shown['seconds']:,.0f}"}
    network = shown["settings"].get("model")
    if not live and network:
        words = "Ships with the program: {network}, n = {n}, seed {seed}, {seconds} s of work."
        return say(words, network=models.card(network).title, **facts)
    if not live:
        return say("Ships with the program: n = {n}, seed {seed}, {seconds} s of work.", **facts)
    data = source_of(shown) or shown["figures"].get("on") or shown.get("data")
    if not isinstance(data, str):
        return say("Computed here just now: n = {n}, seed {seed}, {seconds} s of work.", **facts)
    words = "Computed here just now, on {data}: n = {n}, seed {seed}, {seconds} s of work."
    return say(words, data=say(data), **facts)
