"""What there is: attacks, networks and samples, each with its source."""

from __future__ import annotations

import streamlit as st

from app import service

TITLES = {"attacks": "Attacks", "models": "Networks", "samples": "Sample pictures"}


def render() -> None:
    """Draw the page."""
    service.engine()  # cards come with torch, which the first visitor waits for
    from components.tables import TABLES

    st.title("What there is")
    st.write("Every attack, network and sample picture of this server, and where each comes from.")
    for name, table in TABLES.items():
        st.header(TITLES[name])
        st.markdown(table())
