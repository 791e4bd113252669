"""The pages and how to get from one to another."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

STYLE = Path(__file__).parents[1] / "assets" / "style.css"


def playground() -> None:
    """Show the playground; imported here so that the frame shows before torch is loaded."""
    from app.playground import render

    render()


st.set_page_config(page_title="Foolscope", layout="wide", initial_sidebar_state="auto")
st.html(STYLE)
st.navigation([st.Page(playground, title="Playground", url_path="playground", default=True)], position="top").run()
