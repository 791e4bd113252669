"""The questions of a room, for its teacher: everybody bets on an answer before it is revealed."""

from __future__ import annotations

import streamlit as st

from app import lessons, service
from app.rooms.betting import revealed
from app.teach import problems
from components.i18n import preferences
from components.i18n.text import say, texts
from components.lesson.questions import Question, plain, question
from engine.rooms import bets
from engine.rooms.records import Room

PERIOD = 2.0
"""Seconds between two looks at how many have bet."""
WHAT_FOR = (
    "Everybody bets on an answer before they see it; the wall shows the bets as bars, once you reveal it."
)


def render(room: Room, key: str) -> None:
    """Draw the questions that the teacher can ask everybody, and the one that is asked now.

    ``room`` is as it is in the database now; ``key`` is the teacher's.
    """
    st.markdown(f"**{say('A question')}**")
    st.caption(say(WHAT_FOR))
    if room.question:
        _asked(room)
        return
    spoken = preferences.language()
    titles = {name: f"{texts(name, spoken)['title']}: {_asks(name)}" for name in lessons.asking()}
    place = f"teach.questions.name.{room.code}"
    name = st.selectbox(say("Which question"), list(titles), format_func=titles.__getitem__, key=place)
    if st.button(say("Ask it"), key="teach.questions.ask", disabled=name is None) and name is not None:
        problems.carry_out(lambda: bets.ask(service.rooms(), room.code, name))
        st.rerun()


def _asks(name: str) -> str:
    return plain(question(name, preferences.language()).asks)


def _asked(room: Room) -> None:
    """Show the question that is asked and let the teacher reveal its answer, or end it."""
    asked = question(room.question, preferences.language())
    st.markdown(asked.asks)
    right = room.revealed.get(room.question)
    _answers(room, asked)
    if right:
        st.success(f"{asked.answers[right.right]}: {asked.because(right.facts)}")
    with st.container(horizontal=True):
        if right is None and st.button(
            say("Reveal the answer"), type="primary", key="teach.questions.reveal"
        ):
            problems.carry_out(lambda: revealed(room))
            st.rerun()
        if st.button(say("Ask no more"), key="teach.questions.end"):
            problems.carry_out(lambda: bets.ask(service.rooms(), room.code, ""))
            st.rerun()


@st.fragment(run_every=PERIOD)
def _answers(room: Room, asked: Question) -> None:
    """List the answers with how many have bet on them."""
    counts = bets.counts(service.rooms(), room, bets.Question(asked.name, len(asked.answers)))
    lines = [f"1. {answer} · {count}" for answer, count in zip(asked.answers, counts, strict=True)]
    st.markdown("\n".join(lines))
