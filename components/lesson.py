"""What a lesson is made of: a heading, text of a readable width, formulas in a fold, links to try it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import streamlit as st

from attacks.core import Stop
from components.share import write
from components.text import texts
from engine.recipe import Recipe
from experiments.data import SMALL, place


@contextmanager
def page(name: str) -> Iterator[dict[str, str]]:
    """Lay out the lesson ``name``: heading, lead and story from its texts, then what is drawn within the
    block, then, where it has them, its formulas in a fold. The block is given the texts."""
    said = texts(name)
    with st.container(key="lesson"):
        st.header(said["title"], anchor=False)
        st.markdown(f"**{said['lead']}**")
        if place() is None:
            st.info(
                f"MNIST is not on this server: what you compute here is computed on {SMALL}, and a picture "
                "that ships may not open. On the server, “python -m experiments --download” fetches it."
            )
        st.markdown(said["story"])
        yield said
        if "maths" in said:
            with st.expander("For the mathematician"):
                st.markdown(said["maths"])


def address(recipe: Recipe, **more: str) -> str:
    """Return the address, from a lesson's, at which the playground shows ``recipe``; ``more`` is added."""
    return f"./?{urlencode(write(recipe) | more)}"


def digit(
    model: str, image: str, target: int | None, attack: str = "lbfgs", witness: str | None = None
) -> str:
    """Return the address at which ``attack`` takes ``image`` to ``target`` (None: to any other class), and
    the network ``witness`` is asked about it too."""
    more = {"witness": witness} if witness else {}
    return address(Recipe(model, image, attack, target=target, stop=Stop("steps")), **more)


def source(text: str, url: str) -> None:
    """Say which paper, table or figure a part of the lesson repeats."""
    st.caption(f"After [{text}]({url}).")
