"""Evaluate: many pictures, several networks and attacks, one table."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from markupsafe import Markup

from app import service
from app.access import base
from app.evaluate import controls, results
from app.evaluate.shelf import shelf
from components import address
from components.display.html_table import joined
from components.i18n.text import say, told
from components.owner import owner
from engine.evaluation import pictures as folders
from engine.evaluation.archive import Sent, unpacked
from engine.evaluation.evaluation import Evaluation
from engine.evaluation.record import Picture, Plan
from engine.evaluation.shelf import Going
from engine.images.sources import samples
from errors import BadSetting, FoolscopeError, UnknownName

HINT = (
    "Every picture is attacked by each attack on each network at each budget, and becomes a row of a table. "
    "Choose and press Run; the table fills while you look, and its address brings it back."
)
NOTHING_CHOSEN = "Expected {what}, got none."


def render() -> None:
    """Draw the page and carry out what was pressed."""
    service.engine()
    going = _shown()
    with st.sidebar:
        source = controls.source_picker()
        names, files = _sources(source)
        plan = controls.plan_picker()
        with st.container(key="run"):
            busy = going is not None and not going.over
            if st.button(say("Run"), type="primary", width="stretch", key="start_evaluation", disabled=busy):
                _start(plan, names, files)
    for problem in st.session_state.pop("evaluate.problems", []):
        st.error(problem)
    with st.container(key="evaluation"):
        if going is None:
            _opening(names)
        else:
            results.show(going, base())
    address.write({"evaluation": going.id} if going else {})


def _sources(source: str) -> tuple[list[str], list[Sent]]:
    """Return the samples that are chosen, and the files that were sent."""
    if source == controls.SHELF:
        return controls.samples_picker(), []
    return [], [Sent(file.name, file.getvalue()) for file in controls.files_picker()]


def _opening(names: Sequence[str]) -> None:
    """Say what the page does, above the pictures that are chosen."""
    st.header(say("Evaluate"), anchor=False)
    st.markdown(say(HINT))
    tiles = [
        Markup('<img src="{}/samples/{}.jpg" alt="{}">').format(base(), name, say(samples()[name].label))
        for name in names
    ]
    st.html(Markup('<div class="evaluation-tiles">{}</div>').format(joined(tiles)))


def _shown() -> Going | None:
    """Return the evaluation that the address names, or this visitor's own; None where there is none."""
    key = st.query_params.get("evaluation") or st.session_state.get("evaluation")
    if not key:
        return None
    try:
        going = shelf().get(key)
    except UnknownName as error:
        st.session_state.pop("evaluation", None)
        _problem(error)
        return None
    st.session_state.evaluation = going.id
    return going


def _start(plan: Plan, names: Sequence[str], files: Sequence[Sent]) -> None:
    """Start an evaluation, or say why not."""
    inbox = shelf().inbox()
    try:
        _check(plan, bool(names or files))
        pictures = _received(files, inbox, plan) if files else [_sample(name, plan.models) for name in names]
        whose = owner() or str(st.session_state.setdefault("evaluate.visitor", str(inbox)))
        going = shelf().start(Evaluation.of(plan, pictures), whose, inbox)
    except FoolscopeError as error:
        shutil.rmtree(inbox, ignore_errors=True)
        _problem(error)
        return
    st.session_state.evaluation = going.id
    st.query_params.evaluation = going.id
    st.rerun()


def _check(plan: Plan, pictures: bool) -> None:
    parts = {
        "a network": plan.models,
        "an attack": plan.attacks,
        "a budget": plan.epsilons,
        "a picture": pictures,
    }
    for what, chosen in parts.items():
        if not chosen:
            raise BadSetting(NOTHING_CHOSEN, what=what)


def _received(files: Sequence[Sent], inbox: Path, plan: Plan) -> list[Picture]:
    """Return the pictures that were sent, with what they show where they say so."""
    pictures, table = unpacked(files, inbox)
    return folders.labelled(pictures, str(table) if table else None, plan.models)


def _sample(name: str, networks: Sequence[str]) -> Picture:
    """Return a sample with the first of its names that all networks know."""
    for label in samples()[name].shows:
        try:
            return Picture(name, folders.label_of(label, networks))
        except UnknownName:
            continue
    return Picture(name)


def _problem(error: FoolscopeError) -> None:
    st.session_state.setdefault("evaluate.problems", []).append(told(error))
