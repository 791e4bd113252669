"""Chapter 1: what a network says of a picture, and what it cannot say."""

from __future__ import annotations

import streamlit as st

from app import service
from components.display import image_views
from components.display.probability_bars import odds, percent
from components.i18n.text import named
from components.lesson import layout
from components.lesson.questions import RightAnswer
from components.widgets import image_picker
from components.widgets.image_picker import Subject
from engine.images.sources import samples
from engine.links import DEFAULT
from models.core import Card

ODD = "moose"
"""A picture of something that is not on the list of the network that opens."""


def render() -> None:
    """Draw the chapter."""
    with layout.page("at_work", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            _look(playing)
        with layout.part():
            st.markdown(prose("mistake"))
            _mistake(playing, prose("press"), prose("missing"))


def answer() -> RightAnswer:
    """Return what the network that opens makes of `ODD`: whether one name leads by far, by a tenfold of what
    every name has when all have the same."""
    ranking = service.engine().classify(DEFAULT.model, ODD)
    first = ranking[0]
    ahead = first.probability > 10 / len(ranking)
    facts = {"label": first.label, "share": percent(first.probability), "count": f"{len(ranking):,}"}
    return RightAnswer(2 if ahead else 1, facts)


def _look(playing: Subject) -> None:
    """Show the picture and the five most probable names."""
    ranking = service.engine().classify(playing.model, playing.image)
    left, right = st.columns([2, 3], gap="large", vertical_alignment="center")
    with left:
        image_views.seen(service.engine(), playing, credit=image_picker.credit(playing.image))
    with right:
        odds([(answer.label, answer.probability) for answer in ranking[:5]], ranking[0].label)


def _mistake(playing: Subject, words: str, sentence: str) -> None:
    """Show the same network a picture, chosen under ``words``, of something that is not among its names."""
    names = unnamed(playing.card, playing.image)
    titles = {name: image_picker.picture_title(name) for name in names}
    title, key = titles.__getitem__, "at_work.shown"
    shown = str(st.pills(words, names, default=names[0], format_func=title, required=True, key=key))
    ranking = service.engine().classify(playing.model, shown)
    left, right = st.columns([1, 2], gap="large", vertical_alignment="center")
    with left:
        image_views.seen(service.engine(), playing._replace(image=shown))
    with right:
        facts = {"label": named(ranking[0].label), "share": percent(ranking[0].probability)}
        count = f"{len(playing.card.labels):,}"
        st.markdown(sentence.format(shown=image_picker.picture_title(shown), count=count, **facts))
        odds([(answer.label, answer.probability) for answer in ranking[:5]], ranking[0].label)


def unnamed(card: Card, image: str) -> list[str]:
    """Return the honest mistakes, other than ``image``, that ``card`` has no name for."""
    mistakes = [s for s in samples().values() if s.group == "mistakes" and s.name != image]
    return [s.name for s in mistakes if not {s.label.lower(), *s.shows} & set(card.labels)]
