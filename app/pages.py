"""The pages and how to get from one to another."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from app import lessons
from app.lessons import Lesson
from app.waiting import wait_for_engine
from components import embedding
from components.display.theme import palette
from components.i18n import preferences
from components.i18n.streamlit_labels import streamlit_words
from components.i18n.text import say, texts, told
from components.lesson.navigation import Way
from errors import EngineClosed, EngineFailed
from settings import ASSETS


def shown_later(module: str) -> Callable[[], None]:
    """Return a function that draws the page of ``module``, which brings torch: the frame does not wait."""

    def show() -> None:
        wait_for_engine()
        importlib.import_module(module).render()

    return show


def lesson_page(lesson: Lesson) -> StreamlitPage:
    """Return the page of a lesson."""
    title = texts(lesson.name, preferences.language())["title"]
    return st.Page(lesson.render, title=title, url_path=lesson.name)


st.set_page_config(page_title="Foolscope", page_icon=ASSETS / "icon.svg", layout="wide")
st.html(ASSETS / "style.css")
st.html(palette())
st.logo(ASSETS / "logo.svg", size="large")
preferences.read()
st.html(streamlit_words())
preferences.language_picker()
labs = {
    say(lab): [lesson_page(lessons.registry()[name]) for name in names]
    for lab, names in lessons.menus().items()
}
st.session_state.ways = {
    page.url_path: Way(page, back, onward)
    for menu in labs.values()
    for back, page, onward in zip([None, *menu], menu, [*menu[1:], None], strict=False)
}
first = [
    st.Page(shown_later("app.playground.page"), title=say("Playground"), url_path="playground", default=True),
    st.Page(shown_later("app.compare.page"), title=say("Compare"), url_path="compare"),
    st.Page(shown_later("app.evaluate.page"), title=say("Evaluate"), url_path="evaluate"),
    st.Page(shown_later("app.teach.page"), title=say("Rooms"), url_path="teach"),
    st.Page(shown_later("app.my_runs.page"), title=say("My runs"), url_path="my_runs"),
    st.Page(shown_later("app.catalogue.page"), title=say("Catalogue"), url_path="catalogue"),
]
# In another site's frame there is one page: the others are a tab away.
alone = embedding.embedded()
page = st.navigation({"": first, **labs}, position="hidden" if alone else "top")
preferences.write()  # once the address has the page's path
st.session_state.page = page.url_path  # see `reader.keep`
try:
    page.run()
except (EngineFailed, EngineClosed) as error:  # replicas that are away, or a server that ends
    st.error(told(error))
