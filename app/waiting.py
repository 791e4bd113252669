"""The page's frame while torch is imported and the first network is loaded."""

from __future__ import annotations

import streamlit as st

from app import service
from components.i18n.text import say


def wait_for_engine() -> None:
    """Wait for the engine, with the frame of the page already on the screen."""
    place = st.empty()
    if not service.ready():
        words = say("Waking the network…")
        place.html(f'<div class="foolscope-skeleton" role="status">{words}</div>')
    service.engine()  # the first visitor waits here for torch
    place.empty()
