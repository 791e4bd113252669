"""Choosing a class from a list: by its name or by another word for it, a dozen favourites first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache

import streamlit as st
from markupsafe import escape

from components.i18n import preferences
from components.i18n.text import named
from models import labels

FAVOURITES = (
    "vulture",
    "paper towel",
    "toaster",
    "ostrich",
    "guacamole",
    "bath towel",
    "cocktail shaker",
    "goldfish",
    "pizza",
    "teddy",
    "soccer ball",
    "toilet tissue",
    "banana",
    "flamingo",
    "umbrella",
    "ostrich or emu",
    "airplane",
    "dinosaur",
    "guitar",
    "rooster",
)
"""What people like to make of a picture; the first `MOST` that a network knows are offered."""
MOST = 12


def listed(known: Sequence[str], present: str = "") -> tuple[list[str], int]:
    """Return the labels ``known`` in the order of a list, and how many favourites come first: never
    ``present``, which the network says already. The others follow in the reader's alphabet."""
    first = [label for label in FAVOURITES if label in known and label != present][:MOST]
    others = _in_order(tuple(known), preferences.language())
    return [*first, *(label for label in others if label not in first)], len(first)


def picker(words: str, known: Sequence[str], present: str, wanted: str, key: str) -> str:
    """Let the person choose one of the labels ``known`` other than ``present``; at first it is ``wanted``, or
    the first of the list where that is none of them. ``words`` say what it is for."""
    titles, favourites = titled(known, present)
    options = [label for label in titles if label != present]
    if st.session_state.get(key, wanted) not in options:
        st.session_state[key] = wanted if wanted in options else options[0]
    preferences.keep(key, wanted)
    chosen = st.selectbox(words, options, format_func=titles.__getitem__, key=key)
    set_apart(words, 0, favourites)
    return str(chosen)


def titled(known: Sequence[str], present: str = "") -> tuple[Mapping[str, str], int]:
    """Return what stands in the list for the labels in the order of `listed`, and how many are favourites."""
    return _titled(tuple(known), present, preferences.language())


@lru_cache(128)
def _titled(known: tuple[str, ...], present: str, language: str) -> tuple[Mapping[str, str], int]:
    """Return what `titled` does: a thousand titles, which every script run of a page asks for."""
    labels, favourites = listed(known, present)
    return {label: title(label, named(label, language)) for label in labels}, favourites


def title(label: str, head: str = "") -> str:
    """Return what stands in a list for the class ``label``: ``head``, by default its name, and the other
    words that find it."""
    others = _others(label, preferences.language())
    return " · ".join(filter(None, [head or named(label), ", ".join(others)]))


@cache
def _others(label: str, language: str) -> tuple[str, ...]:
    """Return the words for the class that are not parts of its name."""
    names = labels.names(label)
    synonyms = _beyond(label, names.synonyms)
    if language != "zh":
        return synonyms
    own = (label,) if label != names.chinese else ()
    return (*own, *_beyond(names.chinese, names.chinese_synonyms), *synonyms)


def _beyond(name: str, words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word.casefold() not in name.casefold())


@cache
def _in_order(known: tuple[str, ...], language: str) -> list[str]:
    """Return labels in alphabetical order; GB 18030 has common characters in the order of their sounds."""
    if language == "zh":
        return sorted(known, key=lambda label: named(label, language).encode("gb18030"))
    return sorted(known, key=str.casefold)


def set_apart(words: str, first: int, count: int) -> None:
    """Mark the favourites in the list that is called ``words`` with a star, and draw a line under the last:
    they are ``count`` options from number ``first`` on."""
    where = f'[role="listbox"][aria-label="{escape(words)}"] [data-key="%d"]'
    starred = ", ".join(where % (first + index) for index in range(count))
    if count:
        last = where % (first + count - 1)
        rule = f"{last} {{ --under: var(--st-border-color); }}"
        st.html(f'<style>{starred} {{ --before: "★"; }} {rule}</style>')
