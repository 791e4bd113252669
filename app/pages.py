"""The pages and how to get from one to another."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app import lessons

ASSETS = Path(__file__).parents[1] / "assets"


def playground() -> None:
    """Show the playground; imported here so that the frame shows before torch is loaded."""
    from app.playground import render

    render()


def compare() -> None:
    """Show attacks side by side."""
    from app.compare import render

    render()


def catalogue() -> None:
    """Show what there is."""
    from app.catalogue import render

    render()


def lesson(name: str) -> StreamlitPage:
    """Return the page of a lesson."""
    found = lessons.registry()[name]
    return st.Page(found.render, title=found.TITLE, url_path=name)


st.set_page_config(page_title="Foolscope", page_icon=ASSETS / "icon.svg", layout="wide")
st.html(ASSETS / "style.css")
st.logo(ASSETS / "logo.svg", size="large")
pages = {
    "": [
        st.Page(playground, title="Playground", url_path="playground", default=True),
        st.Page(compare, title="Compare", url_path="compare"),
        st.Page(catalogue, title="Attacks and networks", url_path="catalogue"),
    ]
}
for lab, names in lessons.labs().items():
    pages[lab] = [lesson(name) for name in names]
st.navigation(pages, position="top").run()
