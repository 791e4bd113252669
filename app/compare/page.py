"""Attacks side by side: at one budget, over a range of budgets, on several networks, by several norms."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from app import service, shipped_recipes
from app.access import base
from app.compare import comparisons, spectra, transfer_table
from app.compare import controls as controls
from app.playground.session import Session
from app.playground.sidebar import subject
from app.shipped_recipes import RACERS
from attacks.toolkit.norms import LINF
from components import address
from components.i18n.text import named, say, told
from components.lesson.live_run import origin
from components.live.compare import compare
from components.owner import owner
from components.take_home.panel import panel
from engine.recipe import Recipe
from engine.robustness.transfer import here
from engine.run import Run
from errors import FoolscopeError, UnknownName

MODES = {"race": "Race", "sweep": "Robustness curve", "networks": "Networks", "norms": "Norms"}
HINTS = {
    "race": "Several attacks, one picture, one budget: press Start and see which gets there, at what cost.",
    "sweep": "The same attack at ten budgets, and random noise of the same sizes: press Start.",
    "networks": "One attack on several networks, and whom else its pictures fool: press Start.",
    "norms": "One attack that keeps its change small in one way or another: press Start.",
}


def render() -> None:
    """Draw the page and carry out what was pressed."""
    session = Session.current(service.engine())
    if address.returned():
        address.forget({"compared", "compare.mode"}.__contains__)
    with st.sidebar:
        subject(session)
        mode, recipes = _compose(session)
        with st.container(key="run"):
            if st.button(say("Start"), type="primary", width="stretch", key="start_compare"):
                _start(session, mode, recipes)
    shown, runs = _shown(session, mode)
    for problem in session.told(mode=mode, runs=st.session_state.compared[1]):
        st.error(problem)
    original, goal = _labels(session, runs)
    _origin(runs)
    compare(
        base=base(), mode=shown, runs=runs, original=original, goal=goal, hint=say(HINTS[mode]), key="compare"
    )
    _after(shown, [fact["id"] for fact in runs])
    address.write(session.query() | _address())


def _compose(session: Session) -> tuple[str, list[Recipe]]:
    """Let the person say what is compared; return the mode and the recipes of a new comparison."""
    first = st.query_params.get("mode", "race")
    if first not in MODES:
        session.refusals.add("mode", UnknownName.of("comparison", first, MODES))
    mode = controls.mode_picker(MODES, first if first in MODES else "race")
    norm = LINF.name if mode == "norms" else controls.norm_picker(comparisons.NORMS)
    try:
        if mode == "norms":
            attack, measure = controls.normed_picker(), controls.measure_picker()
            epsilon, steps = controls.budget_picker(LINF.name), controls.steps_picker()
            return mode, comparisons.across_norms(session.recipe, attack, epsilon, steps, measure)
        if mode == "networks":
            return mode, _many(session, norm)
        if mode == "race":
            names = controls.racers_picker(RACERS, norm)
            epsilon, steps = controls.budget_picker(norm), controls.steps_picker()
            return mode, comparisons.race(session.recipe, names, norm, epsilon, steps)
        attack = controls.swept_picker(norm)
        return mode, comparisons.sweep(session.recipe, attack, norm, controls.steps_picker())
    except FoolscopeError as error:
        session.problems.append(told(error))
        return mode, []


def _many(session: Session, norm: str) -> list[Recipe]:
    """Return the recipes of one attack on every network that the person chose."""
    base, engine = session.recipe, service.engine()
    names = controls.networks_picker(here(session.card))
    attack = controls.swept_picker(norm)
    one = comparisons.alone(base, attack, norm, controls.budget_picker(norm), controls.steps_picker())
    return comparisons.networks(
        base, names, one, lambda n: engine.classify(n, base.image, base.crop)[0].index
    )


def _start(session: Session, mode: str, recipes: list[Recipe]) -> None:
    """Start all recipes; what this visitor compared before gives way."""
    engine = service.engine()
    _end(st.session_state.pop("compared", ("", []))[1])
    started: list[str] = []
    try:
        for recipe in recipes:
            started.append(engine.submit(recipe, owner=owner()).id)
    except FoolscopeError as error:
        session.problems.append(told(error))
        _end(started)
        return
    st.session_state.compared = (mode, started)


def _end(runs: list[str]) -> None:
    for key in runs:
        try:
            service.engine().cancel(service.engine().run(key))
        except UnknownName:
            continue  # it has been forgotten already


def _shown(session: Session, mode: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the comparison to show: this visitor's, the one that the address names, or one that ships."""
    if "compared" not in st.session_state:
        asked = [key for key in st.query_params.get("runs", "").split(",") if key]
        opens = shipped_recipes.race_ids() if mode == "race" else []
        st.session_state.compared = (mode, asked or opens)
    shown, keys = st.session_state.compared
    try:
        return shown, comparisons.facts({key: service.engine().run(key).recipe for key in keys}, shown)
    except UnknownName as error:
        session.refusals.add("runs", error)
        st.session_state.compared = (mode, [])
        return mode, []


def _labels(session: Session, runs: list[dict[str, Any]]) -> tuple[str, str | None]:
    """Return what the picture is and what it shall become: of the runs that are shown, else as chosen."""
    if runs:
        run = service.engine().run(runs[0]["id"])
        labels, original, target = run.labels, run.original, run.recipe.target
    else:
        labels, original, target = session.card.labels, session.ranking[0].index, session.recipe.target
    return named(labels[original]), None if target is None else named(labels[target])


def _origin(runs: list[dict[str, Any]]) -> None:
    """Say so when what is shown ships with the program."""
    if [run["id"] for run in runs] == shipped_recipes.race_ids():
        recipe = service.engine().run(runs[0]["id"]).recipe
        st.caption(f"{origin(recipe)} {say('Start compares on your own picture.')}")


def _address() -> dict[str, str]:
    mode, keys = st.session_state.compared
    return {"mode": mode, "runs": ",".join(keys)} if keys and keys != shipped_recipes.race_ids() else {}


def _after(mode: str, keys: list[str]) -> None:
    """Say what is worth knowing about the runs together, once they are over."""
    runs = [service.engine().run(key) for key in keys]
    if mode in ("race", "sweep"):
        transfer_table.warn(runs)
    elif runs:
        transfer_table.after(service.engine(), runs, mode)
    if runs:
        titles = {run.id: _called(run, mode) for run in runs}
        transfer_table.when_over(runs, partial(spectra.beside, runs, titles))
        transfer_table.when_over(runs, partial(_take_home, runs, mode))


def _take_home(runs: list[Run], mode: str) -> None:
    """Offer what one of the runs, which are over, leaves the page with."""
    titles = {run.id: _called(run, mode) for run in runs if len(run) > 1}
    if not titles:
        return
    chosen = st.selectbox(
        say("Take one of them home"), list(titles), format_func=titles.__getitem__, key="taken"
    )
    panel(service.engine(), base(), service.engine().run(chosen), "compare")


def _called(run: Run, mode: str) -> str:
    """Return what a run is called in the list of those that can be taken home: in a sweep with its budget."""
    title, budget = comparisons.title(run.recipe, mode), run.recipe.params.get("epsilon")
    if mode != "sweep" or budget is None:
        return title
    return f"{title}, ε = {255 * float(budget):.3g}/255"
