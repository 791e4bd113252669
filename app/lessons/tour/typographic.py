"""Chapter 11: a word is written on the picture, beside an empty label and one that says nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import streamlit as st
from PIL import Image

import models
from app import service
from components.display import comparison_table, image_views
from components.display.comparison_table import Cell, cell
from components.display.probability_bars import percent
from components.i18n.text import named, say, told
from components.lesson import experiment_panel, layout
from components.lesson.questions import RightAnswer
from components.widgets import image_picker
from engine.classification import ranking
from engine.run import Prediction
from errors import FoolscopeError, UnknownName
from experiments.goh2021.typographic import URL, Reading, Typographic
from experiments.methods.written_label import PLACES, Place, labelled, nonsense, seen, square
from models import weights
from models.added import words
from models.core import Card

LONGEST = 24
NETWORKS = ("efficientnet_lite0", "efficientnet_lite2", "photos")
Drawn = Mapping[str, Image.Image]
"""The photo under each label, by what that is called."""
Answers = list[list[Prediction]]
"""What a network says of each photo: every class with its probability, the most probable first."""


def render() -> None:
    """Draw the chapter."""
    with layout.page("typographic", answer) as prose:
        with layout.aside():
            playing = image_picker.pick(service.engine())
        with layout.part():
            _write(playing.image, playing.model, prose("clip"), prose("no_clip"))
        with layout.part():
            st.markdown(prose("counted"))
            _counted()
        layout.source(say("Goh et al. 2021, Multimodal Neurons"), URL)


def answer() -> RightAnswer:
    """Return how often the written word became the answer of the first network, in the result that ships."""
    reading = experiment_panel.shipped(Typographic).figures.networks[NETWORKS[0]]
    share = reading.written.value
    facts = {"count": f"{share * reading.pairs:.0f}", "pairs": str(reading.pairs), "network": reading.title}
    return RightAnswer(0 if share < 0.05 else 1 if share <= 0.5 else 2, facts)


def _write(image: str, model: str, clip: str, no_clip: str) -> None:
    """Let the reader write a word; show the labels and what the networks that are here say of each."""
    word, size, place = _label()
    texts = {
        say("no label"): None,
        say("an empty label"): "",
        say("the letters: “{word}”", word=nonsense(word)): nonsense(word),
        say("the word: “{word}”", word=word): word,
    }
    photo = square(service.engine().picture(image))
    drawn = {title: labelled(photo, text, size, place) for title, text in texts.items()}
    with image_views.row("labels"):
        for title, picture in drawn.items():
            shown = seen(models.card(NETWORKS[0]), picture)
            image_views.picture(shown, say("The picture: {what}", what=title), title)
    (plain,) = _answers(NETWORKS[0], [photo])
    asked = dict.fromkeys([model, *NETWORKS])
    networks = [name for name in asked if weights.locate(models.card(name))]
    added = _clips(word, plain)
    _table([*networks, *added], drawn, word)
    st.caption(clip if added else no_clip)


def _label() -> tuple[str, float, Place]:
    """Let the reader choose what the label says, how wide it is and where."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="label"):
        typed = st.text_input(say("Write on the picture"), "banana", max_chars=LONGEST, key="label.word")
        size = st.slider(
            say("Width of the label"), 0.2, 1.0, 0.6, 0.05, format="percent", key="label.size", width=180
        )
        names: Mapping[Place, str] = {"top": say("top"), "middle": say("middle"), "bottom": say("bottom")}
        place = st.segmented_control(
            say("Place"), list(PLACES), default="middle", format_func=names.__getitem__, required=True,
            key="label.place",
        )  # fmt: skip
    return " ".join(typed.split()) or "banana", size, place


def _clips(word: str, plain: list[Prediction]) -> list[str]:
    """Return the CLIPs that somebody added here, each with the word and the first network's four likeliest
    classes as its words."""
    own = list(dict.fromkeys([word, *(p.label for p in plain[:4] if p.label.casefold() != word.casefold())]))
    return [words.name_of(card.name, own) for card in models.cards() if card.worded]


def _answers(model: str, photos: Iterable[Image.Image]) -> Answers:
    card = models.card(model)
    x = np.stack([seen(card, photo) for photo in photos])
    return [ranking(row, card) for row in service.engine().answers(model, x)]


def _table(networks: list[str], drawn: Drawn, word: str) -> None:
    """Show each network's first class under each label, and the probability of the class that is written."""
    rows: list[list[str | Cell]] = []
    for name in networks:
        card = models.card(name)
        try:
            answers = _answers(name, drawn.values())
        except FoolscopeError as error:
            st.error(told(error))
            continue
        first = [f"{named(answer[0].label)} {percent(answer[0].probability)}" for answer in answers]
        rows.append([card.title, *first])
        label = _class(card, word)
        if label:
            shares = [_share(answer, label) for answer in answers]
            rows.append([say("… “{label}”", label=named(label)), *map(percent, shares)])
    comparison_table.beside([say("Network"), *drawn], rows)


def _class(card: Card, word: str) -> str:
    """Return the class of a network that the word names, "" where it has none."""
    try:
        return card.labels[card.label_index(word)]
    except UnknownName:
        return ""


def _share(answer: list[Prediction], label: str) -> float:
    return next(p.probability for p in answer if p.label == label)


def _answer(readings: Sequence[Reading]) -> str:
    """Return whether the networks read, in a sentence that the figures bear out."""
    reading = [r.title for r in readings if (r.rise_nonsense.low or 0) > 0]
    if not reading:
        return say(
            "No, they do not read: the label hides a part of the photo, but whether it says the word or only "
            "has its letters makes no difference that could be measured."
        )
    return say(
        "More than its letters alone, a written word raises its class in {networks}; the table says by how "
        "much.",
        networks=", ".join(reading),
    )


def _counted() -> None:
    """Show what the experiment counted, and which sentences it bears out."""
    result = experiment_panel.result(Typographic, say("Count it here"), n=6)
    readings = result.figures.networks.values()
    st.markdown(f"**{_answer(list(readings))}**")
    shares = {"scale": 100, "unit": " %"}
    rows: list[list[str | Cell]] = [
        [say("pairs of photo and word"), *(f"{r.pairs:,}" for r in readings)],
        [say("class first: empty label"), *(cell(r.empty, **shares) for r in readings)],
        [say("class first: its letters mixed"), *(cell(r.nonsense, **shares) for r in readings)],
        [say("class first: the word"), *(cell(r.written, **shares) for r in readings)],
        [say("rise against the empty label"), *(cell(r.rise_empty) for r in readings)],
        [say("rise against its letters mixed"), *(cell(r.rise_nonsense) for r in readings)],
        [
            say("photos that an empty label leaves as they are"),
            *(cell(r.unchanged, **shares) for r in readings),
        ],
    ]
    comparison_table.beside([say("What is counted"), *(r.title for r in readings)], rows)
    comparison_table.claims(result.claims)
