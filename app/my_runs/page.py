"""My runs: what this browser has started, to open again, to rename, to compare and to delete."""

from __future__ import annotations

from functools import partial

import streamlit as st

import settings
from app import service
from app.compare.page import MODES
from app.my_runs import cards
from components.i18n import preferences
from components.i18n.text import say, told
from components.owner import owner
from engine.base import EngineBase
from engine.history.records import RunRecord
from errors import FoolscopeError

SHOWN = 12
"""Runs that are listed at first, and that each press on the button adds."""
EVERY = 2.0
"""Seconds between two looks whether a run that goes on in the list is over."""
NO_COOKIE = (
    "Your browser sends no cookie, so runs are not kept for it: a run that you start opens by its link for "
    "as long as the server remembers it."
)
EMPTY = (
    "Nothing here yet. Every run that you start in the playground, in Compare or in a lesson will be here, "
    "with its pictures: to open again, to name, to compare with another, to delete."
)
WITH_PICTURES = (
    "Kept on this server, in its database {file}, until {days} days after they ended, or until the runs of "
    "all visitors take more than {size}: the runs that this browser started, their steps, their pictures and "
    "the photos they began with."
)
WITHOUT_PICTURES = (
    "Kept on this server, in its database {file}, until {days} days after they ended, or until the runs of "
    "all visitors take more than {size}: the runs that this browser started and their steps, without "
    "pictures."
)
PRIVATE = (
    "The list is shown to this browser alone, which is known by a cookie; whoever has a run's link can open "
    "the run."
)


def render() -> None:
    """Draw the page and carry out what was pressed."""
    engine, mine = service.engine(), owner()
    with st.container(key="my_runs"):
        st.header(say("My runs"), anchor=False)
        if not mine:
            st.info(say(NO_COOKIE))
            return
        try:
            _runs(engine, mine)
        except FoolscopeError as error:
            if str(error) not in map(str, engine.history.problems()):
                st.warning(told(error))
        for problem in engine.history.problems():
            st.warning(told(problem))
    st.query_params.from_dict(preferences.query())


def _runs(engine: EngineBase, mine: str) -> None:
    number = st.session_state.get("my_runs.number", SHOWN)
    records = engine.own_runs(mine, number + 1)
    if not records:
        st.markdown(say(EMPTY))
        st.html(cards.link("./", say("To the playground")))
        _privacy()
        return
    shown = records[:number]
    _compare(shown)
    for record in shown:
        _run(engine, mine, record)
    going = frozenset(record.id for record in shown if not record.over)
    if going:
        st.fragment(partial(_watch, engine, mine, going, number), run_every=EVERY)()
    if len(records) > number and st.button(say("Show more"), key="my_runs.more"):
        st.session_state["my_runs.number"] = number + SHOWN
        st.rerun()
    _privacy()
    _delete_all(engine, mine)


def _watch(engine: EngineBase, mine: str, going: frozenset[str], number: int) -> None:
    """Draw the page anew once a run is over that goes on in its list, or once the list cannot be read."""
    try:
        still = {record.id for record in engine.own_runs(mine, number) if not record.over}
    except FoolscopeError:
        still = set()
    if not going <= still:
        st.rerun()


def _compare(records: list[RunRecord]) -> None:
    """Offer to compare the two runs that are ticked."""
    ticked = [record.id for record in records if st.session_state.get(_tick(record))]
    with st.container(key="my_runs_compare", horizontal=True, vertical_alignment="center"):
        if len(ticked) == 2:
            st.html(cards.link(cards.comparison(ticked, next(iter(MODES))), say("Compare these two")))
        else:
            st.caption(say("Tick two runs to compare them."))


def _run(engine: EngineBase, mine: str, record: RunRecord) -> None:
    with st.container(key=f"my_run_{record.id}", horizontal=True, vertical_alignment="center"):
        st.html(cards.card(record))
        st.checkbox(say("Compare"), key=_tick(record), disabled=not record.opens)
        with st.popover(say("More"), width="content"):
            _more(engine, mine, record)


def _more(engine: EngineBase, mine: str, record: RunRecord) -> None:
    """Offer to rename a run, to run it again, and to delete it."""
    name = st.text_input(say("Name"), record.name, max_chars=100, key=f"my_runs.name.{record.id}")
    if name != record.name:
        _carry_out(lambda: engine.rename_run(mine, record.id, name))
    again = cards.again(record)
    if again:
        st.html(cards.link(again, say("Run it again")))
    if st.button(say("Delete this run"), key=f"my_runs.delete.{record.id}", icon=":material/delete:"):
        _carry_out(lambda: engine.delete_runs(mine, [record.id]))


def _privacy() -> None:
    facts = {
        "file": service.engine().history.database.file,
        "days": settings.history_days(),
        "size": f"{settings.history_bytes() / 1e9:.3g} GB",
    }
    sentence = WITH_PICTURES if settings.keep_pictures() else WITHOUT_PICTURES
    st.caption(f"{say(sentence, **facts)}  \n{say(PRIVATE)}")


def _delete_all(engine: EngineBase, mine: str) -> None:
    count = engine.history.count(mine)
    with st.popover(say("Delete all my runs"), icon=":material/delete:", width="content"):
        st.markdown(
            say(
                "Delete all {count} runs, their pictures and photos? They cannot be brought back.",
                count=count,
            )
        )
        if st.button(say("Delete all"), type="primary", key="my_runs.delete_all"):
            _carry_out(lambda: engine.delete_runs(mine))


def _carry_out(order: cards.Order) -> None:
    """Do what was asked for and draw the page anew, or say why not."""
    try:
        order()
    except FoolscopeError as error:
        st.error(told(error))
    else:
        st.rerun()


def _tick(record: RunRecord) -> str:
    return f"my_runs.tick.{record.id}"
