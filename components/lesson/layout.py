"""What a lesson is made of: a heading, text of a readable width, formulas in a fold, links to try it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from attacks.contract import Stop
from components.i18n import preferences
from components.i18n.text import say, texts
from components.lesson import bet, slides, tabs
from components.lesson.navigation import Way
from components.lesson.questions import Answer
from components.lesson.slides import part
from components.lesson.tabs import Screen
from engine.links import write
from engine.recipe import Recipe
from experiments.datasets.digit_sets import MNIST, digit_name, has_digit, source_of
from experiments.datasets.mnist import place
from experiments.datasets.shipped_digits import one_of_class

SUBJECT = ("image", "model")
"""The parts of a lesson's address that its neighbours take over."""

__all__ = ["address", "aside", "example", "openable", "page", "part", "playground_url", "pressed", "source"]


@dataclass(frozen=True)
class Prose:
    """The texts of a lesson by key, in the reader's language and register."""

    texts: Mapping[str, str]

    @classmethod
    def of(cls, name: str) -> Prose:
        """Return the texts of the lesson ``name``; raises `errors.UnknownName` for another."""
        plain = texts(name, preferences.language())
        if not preferences.mathematical():
            return cls(plain)
        other = {key: "maths" if key == "story" else f"{key}_maths" for key in plain}
        return cls({key: plain.get(other[key], text) for key, text in plain.items()})

    def __call__(self, key: str) -> str:
        """Return the text ``key``; raises KeyError where the lesson has none."""
        return self.texts[key]

    def __contains__(self, key: str) -> bool:
        return key in self.texts

    def get(self, key: str) -> str:
        """Return the text ``key``, "" where the lesson has none."""
        return self.texts.get(key, "")


@contextmanager
def page(name: str, answer: Answer | None = None) -> Iterator[Prose]:
    """Lay out the lesson ``name``: heading, lead and story from its texts, then what is drawn within the
    block, then the way to its neighbours. The block is given the texts in the reader's language.

    Who wants formulas reads the text ``maths`` in place of ``story``; any other text ``key`` gives way to
    ``key_maths`` where there is one. Other readers find the formulas in a fold. A lesson whose texts have
    ``parts``, a list of titles, is a chapter on one screen: `part` opens one tab after the other, and under
    the last one stands the chapter's question, whose right ``answer`` the lesson works out.
    """
    prose = Prose.of(name)
    with st.container(key="lesson"):
        slides.begin(name)
        laid = tabs.lay(name, re.findall(r"^- (.+)$", prose.get("parts"), re.MULTILINE))
        with laid.told if laid else nullcontext():
            _opening(prose)
        yield prose
        with aside():
            if "maths" in prose and not preferences.mathematical():
                with st.expander(say("For the mathematician")):
                    st.markdown(prose("maths"))
        _ways(name, laid, answer)


@contextmanager
def aside() -> Iterator[None]:
    """Draw beside the parts of a chapter, where its story stands; elsewhere where the lesson has come to.
    A projector shows the parts only."""
    laid = tabs.here()
    with laid.told if laid else st.container(key=f"aside_{slides.count('asides')}"):
        yield


def _opening(prose: Prose) -> None:
    """Show what the lesson is called, and its story; on a projector each is a slide."""
    with st.container(key="lesson_head"):
        preferences.register_picker(say("Told as"), say("In plain words"), say("In formulas"))
    alone = nullcontext if tabs.here() else slides.part
    with alone():
        st.header(prose("title"), anchor=False)
        st.markdown(f"**{prose('lead')}**")
    with alone():
        st.markdown(prose("story"))


def _ways(name: str, laid: Screen | None, answer: Answer | None) -> None:
    """Show the way to the lessons before and after, or follow the keys while presenting."""
    way: Way | None = st.session_state.get("ways", {}).get(name)
    if preferences.presenting():
        _follow(way)
        return
    with st.container(
        key="lesson_foot", horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        if way:
            _link(way.back, ":material/arrow_back:")
            _link(way.page, ":material/present_to_all:", say("Present"), present="1")
        onward = laid is not None and tabs.onward(laid)
        if laid and answer and not onward:
            bet.offer(name, answer)
        if way and not onward:
            _link(way.onward, ":material/arrow_forward:")


def _link(page: StreamlitPage | None, icon: str, label: str = "", **more: str) -> None:
    if page is None:
        st.empty()
    else:
        st.page_link(page, label=label or page.title, icon=icon, query_params=_query() | more)


def _follow(way: Way | None) -> None:
    """Do what was pressed while presenting."""
    asked = slides.keys(bool(way and way.back), bool(way and way.onward))
    if way is None or asked is None:
        return
    target = {"leave": way.page, "back": way.back, "onward": way.onward}[asked]
    if target is not None:
        st.switch_page(target, query_params=_query() | ({} if asked == "leave" else {"present": "1"}))


def _query() -> dict[str, str]:
    """Return what goes along from lesson to lesson: who reads, and with which picture and network."""
    subject = {name: st.query_params[name] for name in SUBJECT if name in st.query_params}
    return preferences.query() | subject


def pressed(words: str, key: str, *about: object) -> bool:
    """Show a button that says ``words``; return whether it was pressed since ``about`` last changed."""
    if st.button(words, type="primary", key=f"{key}.press", shortcut=slides.enter()):
        st.session_state[key] = about
    return st.session_state.get(key) == about


def address(recipe: Recipe, **more: str) -> str:
    """Return the address, from a lesson's, at which the playground shows ``recipe``; ``more`` is added."""
    return f"./?{urlencode(write(recipe) | more)}"


def playground_url(
    model: str, image: str, target: int | None, attack: str = "lbfgs", witness: str | None = None
) -> str:
    """Return the address at which ``attack`` takes ``image`` to ``target`` (None: to any other class), and
    the network ``witness`` is asked about it too; "" where the picture is a digit that cannot be opened."""
    if image.startswith("digit:") and not has_digit(image):
        return ""
    more = {"witness": witness} if witness else {}
    return address(Recipe(model, image, attack, target=target, stop=Stop("steps")), **more)


def example(data: object, part: str, place: int, source: int) -> str:
    """Return digit number ``place`` of ``part`` of a result's data as an image to open, or, where it needs
    MNIST and that is not here, a digit of its class ``source`` that ships (`openable` says so)."""
    name = digit_name(source_of(data), part, place)
    return name if has_digit(name) else digit_name(MNIST, "test", one_of_class(source))


def openable(data: object, press: str = "") -> None:
    """Say what a ``press`` on the table of a result with this ``data`` does, and whether `example` opens
    another digit instead."""
    missing = source_of(data) == MNIST and place() is None
    note = say("Without MNIST another digit of the same class opens, one that ships.") if missing else ""
    if words := f"{press} {note}".strip():
        st.caption(words)


def source(text: str, url: str) -> None:
    """Say which paper, table or figure the lesson, or a part of it, repeats."""
    with aside():
        st.caption(say("After [{text}]({url}).", text=text, url=url))
