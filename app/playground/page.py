"""The playground: a picture, a network, a target, and what happens on the way."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

import streamlit as st

import models
from app import lessons, service
from app.access import base
from app.playground import transfer_check
from app.playground.session import Session
from app.playground.sidebar import phone_bar, subject
from components import address, embedding
from components.i18n import preferences
from components.i18n.text import named, say, told
from components.live.player import player
from components.take_home.panel import panel
from components.widgets import controls, recipe_fields
from engine.run import Run
from errors import FoolscopeError, UnknownName


def render() -> None:
    """Draw the page and carry out what was pressed."""
    session = Session.current(service.engine())
    if session.present:  # on a projector: the run alone, and keys
        st.html("<style>[data-testid=stSidebar], [data-testid=stHeader] { display: none; }</style>")
    with st.sidebar:
        pressed = _compose(session)
    if not session.present:
        pressed |= phone_bar(session)
    if pressed:
        session.start()
    problems = list(session.told())
    for problem in problems:
        st.error(problem)
    shown = _view(session)
    if not session.present:
        _take_home(session)
        _elsewhere(session)
        if not problems:
            _welcome(session)
    address.write(session.query())
    if shown["start"]:
        session.start()
        st.rerun()


def _compose(session: Session) -> bool:
    """Let the person compose a recipe; return whether Run was pressed."""
    subject(session)
    session.attack(controls.attack_picker(session.recipe.attack))
    params = controls.settings(session.recipe.attack, session.params, main=True)
    fields = recipe_fields.show(session.recipe, "main")
    with st.expander(say("More"), key="more"):
        params |= controls.settings(session.recipe.attack, session.params, main=False)
        fields |= recipe_fields.show(session.recipe, "more")
    session.change(params=params, **fields)
    with st.container(key="run"):
        return st.button(say("Run"), type="primary", width="stretch", key="start")


def _welcome(session: Session) -> None:
    """Show a newcomer, who has not run anything yet, where the tour begins; in a frame, how to leave it."""
    if embedding.embedded():
        embedding.in_a_tab(session.query(), say("Open in a tab"))
        return
    neighbour = st.session_state.get("ways", {}).get(lessons.menus()["Tour"][0])
    if neighbour is not None and session.run is None:
        with st.container(key="welcome"):
            label = say("New here? Take the tour")
            st.page_link(
                neighbour.page, label=label, icon=":material/explore:", query_params=preferences.query()
            )


def _view(session: Session) -> dict[str, Any]:
    """Show the run, and beside it, if wanted, that of the network's twin."""
    run = _run(session)
    waiting = run is not None and not run.over
    first = partial(player, base=base(), run=session.run, idle=_idle(session), key="player", waiting=waiting)
    twin = session.card.twin
    if not twin or session.twin is None:
        return first(present=session.present)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown(f"**{session.card.title}**")
        shown = first(present=session.present, beside=True)
    with right:
        st.markdown(f"**{models.card(twin).title}**")
        other = session.twin_run()
        player(
            base=base(),
            run=other,
            idle=_idle(session, twin),
            key="twin",
            present=session.present,
            beside=True,
        )
    return shown


def _run(session: Session) -> Run | None:
    """Return the run that is shown; None where there is none, or none that the server still knows, which the
    live view says."""
    try:
        return service.engine().run(session.run) if session.run else None
    except UnknownName:
        return None


def _take_home(session: Session) -> None:
    """Offer what the run shown leaves the page with."""
    if run := _run(session):
        panel(service.engine(), base(), run, "playground")


def _elsewhere(session: Session) -> None:
    """Offer the network's twin beside it; ask a second network about the run's picture, again and again until
    the run is over."""
    if twin := session.card.twin:
        wanted = st.toggle(
            say("Beside it: {network}", network=models.card(twin).title),
            session.twin is not None,
            key=f"twin.{twin}",
        )
        if wanted is not (session.twin is not None):
            session.beside(wanted)
            st.rerun()
    session.witness = transfer_check.picker(session.recipe.model, session.witness)
    if not session.witness or not session.run:
        return
    try:
        run = service.engine().run(session.run)
        asked = st.fragment(transfer_check.show, run_every=None if run.over else 1.5)
        asked(service.engine(), run, session.witness)
    except FoolscopeError as error:
        st.error(told(error))


def _idle(session: Session, model: str = "") -> dict[str, Any]:
    """Return what there is to show before a run: the picture as ``model`` (else the chosen one) sees it."""
    recipe, card = session.recipe, models.card(model or session.recipe.model)
    ranking = service.engine().classify(card.name, recipe.image, recipe.crop)
    query = {"model": card.name, "image": recipe.image}
    query |= {"crop": ",".join(map(str, recipe.crop))} if recipe.crop else {}
    goal = None if recipe.target is None else {"label": named(card.labels[recipe.target])}
    return {
        "model": {"title": card.title, "size": card.size, "channels": card.channels},
        "image_url": f"{base()}/seen.png?{urlencode(query)}",
        "top": [{"label": named(o.label), "probability": round(o.probability, 5)} for o in ranking[:5]],
        "target": goal,
        "hint": say("Press Run and watch it change its mind."),
    }
