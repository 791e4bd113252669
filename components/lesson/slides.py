"""A lesson as slides: its parts one at a time, large, with keys, for a projector."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from components.i18n import preferences
from components.lesson import tabs

STYLE = """<style>
[data-testid=stHeader], .st-key-language, .st-key-lesson_head, .st-key-lesson_foot,
.st-key-lesson :is([data-testid=stSelectbox], [data-testid=stFileUploader], [data-testid=stExpander],
  [data-testid=stButtonGroup], [data-testid=stNumberInput], [data-testid=stPopover],
  [data-testid=stAlertContainer]) { display: none; }
[data-testid=stMainBlockContainer] { padding-top: 1rem; }
.st-key-lesson { max-width: 78rem; zoom: 1.4; padding-bottom: 3rem; }
.st-key-lesson :is([data-testid=stPlotlyChart], [class*="st-key-view_"]) { zoom: calc(1 / 1.4); }
.st-key-lesson [data-testid=stMarkdownContainer] > :is(p, ul, ol) { max-width: none; }
/* With the wrappers around them, which would keep their gaps. */
[data-testid=stLayoutWrapper]:has(
  > :is([class*="st-key-part_"], [class*="st-key-aside_"], .st-key-lesson_head, .st-key-lesson_foot,
  .st-key-setup)),
[data-testid=stElementContainer]:has(> :is([data-testid=stSelectbox], [data-testid=stPopover])) {
  display: none; }
[data-testid=stLayoutWrapper]:has(> .st-key-part_%d) { display: flex; }
.st-key-deck { position: fixed; bottom: 0.75rem; right: 1rem; z-index: 20; width: auto; }
</style>"""


def begin(name: str) -> None:
    """Begin the parts of the lesson ``name`` anew."""
    if st.session_state.get("deck_of") != name:
        st.session_state.deck_of, st.session_state.deck_at = name, 1
    for counted in ("parts", "asides", "keyed", "mnist"):
        st.session_state[f"deck_{counted}"] = 0
    if preferences.presenting():
        st.html(STYLE % st.session_state.deck_at)


@contextmanager
def part() -> Iterator[None]:
    """Hold what belongs together: a slide on a projector, a tab of a chapter, elsewhere a paragraph."""
    at, laid = count("parts"), tabs.here()
    with next(laid.tabs) if laid else st.container(key=f"part_{at}"):
        yield


def count(what: str) -> int:
    """Count one more of the lesson's "parts" or "asides", and return how many there are by now."""
    st.session_state[f"deck_{what}"] = st.session_state.get(f"deck_{what}", 0) + 1
    return int(st.session_state[f"deck_{what}"])


def first(what: str) -> bool:
    """Return whether this is the first ``what`` of the part that is drawn now."""
    key, part = f"deck_{what}", st.session_state.get("deck_parts", 0)
    before = st.session_state.get(key)
    st.session_state[key] = part
    return bool(before != part or part == 0)


def enter() -> str | None:
    """Return the shortcut for a button drawn now: "Enter" for the first one of the part that is shown while
    presenting, None for every other."""
    parts = st.session_state.get("deck_parts", 0)
    shown = parts == st.session_state.get("deck_at") and st.session_state.get("deck_keyed") != parts
    if not (preferences.presenting() and shown):
        return None
    st.session_state.deck_keyed = parts
    return "Enter"


def keys(back: bool, onward: bool) -> str | None:
    """Draw, while presenting, the buttons that the arrow keys press, and go from part to part.

    Return "back" or "onward" when a key leads out of the lesson (where there is a lesson), "leave" when the
    presentation shall end, else None.
    """
    parts, at = st.session_state.deck_parts, st.session_state.deck_at
    with st.container(key="deck", horizontal=True, vertical_alignment="center"):
        left = st.button("←", shortcut="Left", key="deck.left", disabled=at == 1 and not back)
        st.caption(f"{at} / {parts}")
        right = st.button("→", shortcut="Right", key="deck.right", disabled=at >= parts and not onward)
        leave = st.button("×", shortcut="Esc", key="deck.leave")
    to = at + right - left
    if 1 <= to <= parts and to != at:
        st.session_state.deck_at = to
        st.rerun()
    if leave:
        return "leave"
    return "back" if to < 1 else "onward" if to > parts else None
