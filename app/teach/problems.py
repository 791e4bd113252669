"""What could not be done on a teacher's page, said once the page is drawn anew."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from components.i18n.text import told
from errors import FoolscopeError

KEY = "teach.problems"


def carry_out(order: Callable[[], object]) -> bool:
    """Do what was asked for, or note why not; return whether it was done."""
    try:
        order()
    except FoolscopeError as error:
        st.session_state.setdefault(KEY, []).append(told(error))
        return False
    return True


def show() -> None:
    """Say what was noted."""
    for sentence in st.session_state.pop(KEY, []):
        st.error(sentence)
