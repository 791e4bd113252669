"""What a lesson is made of: a heading, text of a readable width, formulas in a fold, links to try it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import streamlit as st

from components.share import write
from engine.recipe import Recipe


@contextmanager
def page(title: str, lead: str) -> Iterator[None]:
    """Lay out a lesson: its heading and one sentence, then what is drawn within the block."""
    with st.container(key="lesson"):
        st.header(title, anchor=False)
        st.markdown(f"*{lead}*")
        yield


def maths(text: str) -> None:
    """Show formulas (Markdown with LaTeX between dollar signs) in a fold."""
    with st.expander("For the mathematician"):
        st.markdown(text)


def link(words: str, recipe: Recipe) -> str:
    """Return a Markdown link that opens ``recipe`` in the playground."""
    return f"[{words}](playground?{urlencode(write(recipe))})"


def source(text: str, url: str) -> None:
    """Say which paper, table or figure a part of the lesson repeats."""
    st.caption(f"After [{text}]({url}).")
