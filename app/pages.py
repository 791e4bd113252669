"""The pages and how to get from one to another."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app import lessons
from components import reader
from components.palette import palette
from components.streamlit_words import streamlit_words
from components.text import say, texts
from components.ways import Way

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
    return st.Page(found.render, title=texts(name, reader.language())["title"], url_path=name)


st.set_page_config(page_title="Foolscope", page_icon=ASSETS / "icon.svg", layout="wide")
st.html(ASSETS / "style.css")
st.html(palette())
st.logo(ASSETS / "logo.svg", size="large")
reader.read()
st.html(streamlit_words())
reader.language_picker()
reader.write()
labs = {say(lab): [lesson(name) for name in names] for lab, names in lessons.labs().items()}
st.session_state["ways"] = {
    page.url_path: Way(page, back, onward)
    for menu in labs.values()
    for back, page, onward in zip([None, *menu], menu, [*menu[1:], None], strict=False)
}
first = [
    st.Page(playground, title=say("Playground"), url_path="playground", default=True),
    st.Page(compare, title=say("Compare"), url_path="compare"),
    st.Page(catalogue, title=say("Attacks and networks"), url_path="catalogue"),
]
page = st.navigation({"": first, **labs}, position="top")
st.session_state["page"] = page.url_path  # see `reader.keep`
page.run()
