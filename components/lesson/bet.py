"""Bet before you press: a chapter's question, for a reader who is alone with it."""

from __future__ import annotations

import streamlit as st

from components.i18n import preferences
from components.i18n.text import say
from components.lesson.questions import Answer, question


def offer(name: str, answer: Answer) -> None:
    """Offer the question of the lesson ``name`` behind a button, so that it takes no room on the screen; say
    whether the answer that is chosen is right, and why."""
    asked = question(name, preferences.language())
    with st.popover(say("Bet before you press"), icon=":material/quiz:"):
        st.markdown(f"**{asked.asks}**")
        numbers = range(len(asked.answers))
        chosen = st.radio(
            say("Your bet"), numbers, index=None, format_func=asked.answers.__getitem__, key=f"bet.{name}"
        )
        if chosen is None:
            return
        right = answer()
        why = asked.because(right.facts)
        if chosen == right.number:
            st.success(f"{say('Right.')} {why}", icon=":material/check:")
        else:
            words = say("Not so: “{answer}” is right.", answer=asked.answers[right.number])
            st.info(f"{words} {why}", icon=":material/close:")
