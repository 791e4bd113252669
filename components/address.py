"""The page's address: written as the page changes, and read again when the browser goes back or on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from components.i18n import preferences


def returned() -> bool:
    """Say whether the browser's Back or Forward brought the address: then the page follows it."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation


def write(query: Mapping[str, str]) -> None:
    """Make the address say who reads and what ``query`` says, and nothing else."""
    st.query_params.from_dict(preferences.query() | dict(query))


def forget(belongs: Callable[[str], bool]) -> None:
    """Let the widgets whose keys ``belongs`` accepts take their values anew, before they are drawn."""
    for key in [key for key in map(str, st.session_state) if belongs(key)]:
        del st.session_state[key]
