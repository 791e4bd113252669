"""Who reads: in which language, in whose words, and whether on a projector. All of it is in the address; one
that names no language is read in the browser's."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

LANGUAGES = {"en": "EN", "zh": "中文"}
REGISTERS = ("plain", "maths")


def language() -> str:
    """Return the reader's language, a folder of ``assets/text``; English where there is no page."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return "en"
    return str(st.session_state.get("lang") or "en")


def usual() -> str:
    """Return the language of the reader's browser, English where it is none of ours."""
    return of_locale(st.context.locale or "") or "en"


def of_locale(locale: str) -> str:
    """Return which of our languages a locale such as zh-CN is of, "" for none."""
    tongue = locale.lower().partition("-")[0]
    return tongue if tongue in LANGUAGES else ""


def mathematical() -> bool:
    """Say whether the reader wants formulas rather than a story."""
    return st.session_state.get("register") == "maths"


def presenting() -> bool:
    """Say whether the page is on a projector: large, one thing at a time, keys only."""
    return st.query_params.get("present") == "1"


def read() -> None:
    """Take over, once in a session, what the address says, and of the language else what the browser does."""
    if "lang" not in st.session_state:
        for key, known, first in (("lang", LANGUAGES, usual()), ("register", REGISTERS, REGISTERS[0])):
            named = st.query_params.get(key)
            st.session_state[key] = named if named in known else first


def language_picker() -> None:
    """Let the reader choose a language, in the corner of every page."""
    with st.container(key="language"):
        _choice("lang", "Language / 语言", LANGUAGES)


def register_picker(label: str, plain: str, maths: str) -> None:
    """Let the reader choose between a story and formulas; ``label``, ``plain`` and ``maths`` say so."""
    _choice("register", label, dict(zip(REGISTERS, (plain, maths), strict=True)))


def _choice(key: str, label: str, names: Mapping[str, str]) -> None:
    st.segmented_control(
        label,
        list(names),
        format_func=names.__getitem__,
        required=True,
        key=key,
        label_visibility="collapsed",
        persist_state="session",
        on_change=write,
    )


def keep(key: str, value: object) -> None:
    """Give the widget ``key`` its first value; later ones are the person's, and go along into another
    language and onto another page: the browser knows a choice by its words, so it has to be told those, and
    to Streamlit a widget of the same key on another page is a new one."""
    state = st.session_state
    where = (language(), state.get("page"))
    drawn = state.setdefault("drawn", {})
    if key not in state or drawn.get(key, where) != where:
        state[key] = state.get(key, value)
    drawn[key] = where


def write() -> None:
    """Write into the address who reads."""
    for key in ("lang", "register"):
        if key in query():
            st.query_params[key] = query()[key]
        else:
            st.query_params.pop(key, None)


def query() -> dict[str, str]:
    """Return the part of the address that says who reads; what any browser would begin with is left out."""
    english = language() == usual() == "en"
    texts = {"lang": "" if english else language(), "register": "maths" if mathematical() else ""}
    return {name: value for name, value in texts.items() if value}
