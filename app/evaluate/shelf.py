"""The evaluations of this server, shared by the page and the routes."""

from __future__ import annotations

import atexit

import streamlit as st

from app import service
from engine.evaluation.shelf import Shelf


@st.cache_resource(show_spinner=False)
def shelf() -> Shelf:
    """Return the shelf of this process; its files go when the process ends."""
    opened = Shelf(service.engine())
    atexit.register(opened.close)
    return opened
