"""The classes of a network that compares images with texts (CLIP), typed by the person."""

from __future__ import annotations

import streamlit as st

import models
from components.i18n import preferences
from components.i18n.text import say, told
from errors import BadSetting
from models.added import words

LINES = 4


def key_of(base: str) -> str:
    """Return the key of the box with the words of the network ``base``."""
    return f"words.{base}"


def with_words(base: str, chosen: str) -> str:
    """Let the person type the classes of the network ``base``, one a line; return its name with them, or
    ``base`` for its own. ``chosen``: the name that was chosen so far.

    Nothing is shown for a network whose classes are not texts.
    """
    card = models.card(base)
    if not card.worded:
        return base
    before = words.parsed(chosen)
    own = before.words if before.base == base and before.words else card.labels
    key = key_of(base)
    preferences.keep(key, "\n".join(own))
    typed = st.text_area(
        say("Its classes, one a line"),
        key=key,
        height=30 + 24 * min(max(len(own), LINES), 2 * LINES),
        help=say(
            "A short line is the name of something: the network compares the picture with “a photo of a …”. "
            "A line of four words or more is taken as it is. Words that it should tell apart go together."
        ),
    )
    try:
        named = words.checked(typed.splitlines())
    except BadSetting as error:
        st.error(told(error), icon=":material/edit_off:")
        return words.name_of(base, own) if own != card.labels else base
    with st.expander(say("The texts it compares"), key="texts"):
        st.markdown("\n".join(f"- {_plain(words.text_of(word))}" for word in named))
    return words.name_of(base, named) if named != card.labels else base


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]()#+-.!|~<>$:&" else sign for sign in text)
