"""The image and the network of the tour, the same in every chapter until the reader changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

import models
from components import address
from components.i18n import preferences
from components.i18n.text import named, say, told
from components.widgets.controls import model_title
from components.widgets.unknown_names import Refusals
from engine.base import EngineBase
from engine.images.sources import UPLOAD, samples
from engine.links import DEFAULT
from errors import FoolscopeError, UnknownName
from experiments.datasets.photos import photographs
from models.core import Card, distinct

OLD_NAMES = {"model": "net", "image": "picture"}
"""What the parts of a lesson's address were called before; old links are understood."""


class Subject(NamedTuple):
    """A network's name and a picture's, as a recipe names them."""

    model: str
    image: str

    @property
    def card(self) -> Card:
        """Return the network's card."""
        return models.card(self.model)


def pick(engine: EngineBase, image: str = "") -> Subject:
    """Show network and image and let the reader change them; ``image``: the chapter's own first picture.

    A link may name them (``?model=``, ``?image=``); what it names in vain is said and replaced.
    """
    _read(engine)
    state = st.session_state
    now = {"model": state.subject_model, "image": state.subject_image}
    for sentence in state.subject_refusals.sentences(now):
        st.error(sentence)
    subject = Subject(state.subject_model, state.subject_image or image or DEFAULT.image)
    title = say(
        "{network} looks at {picture}", network=subject.card.title, picture=picture_title(subject.image)
    )
    with st.popover(title, icon=":material/tune:"):
        _networks(subject)
        _pictures(engine, subject)
    old = {name: text for name, text in st.query_params.items() if name not in OLD_NAMES.values()}
    address.write(old | {part: state[f"subject_{part}"] for part in OLD_NAMES if state[f"subject_{part}"]})
    return subject


def pictures() -> list[str]:
    """Return the colour pictures that are here: samples, then the data folder's photos."""
    own = [name for name, sample in samples().items() if sample.channels == 3]
    return [*own, *(f"photo:{name}" for name in photographs())]


def picture_title(image: str) -> str:
    """Return what a picture is called on a page."""
    kind, _, name = image.partition(":")
    if kind == "photo" and name in photographs():
        return named(photographs()[name].shows)
    if kind == "plain":
        return say("a black picture") if name == "0" else say("a plain picture")
    return say(samples()[image].label) if image in samples() else say("your picture")


def own(image: str) -> bool:
    """Return whether a picture is the visitor's own."""
    return image.startswith(UPLOAD)


def credit(image: str) -> str:
    """Return who took a photo of the data folder, "" for others (samples are credited in the catalogue)."""
    kind, _, name = image.partition(":")
    return photographs()[name].credit if kind == "photo" and name in photographs() else ""


def _read(engine: EngineBase) -> None:
    refusals = st.session_state.setdefault("subject_refusals", Refusals())
    if "subject_model" in st.session_state and not address.returned():
        return
    address.forget("subject.model".__eq__)
    known: dict[str, tuple[str, Callable[[str], object]]] = {
        "model": (DEFAULT.model, _known),
        "image": ("", engine.picture),
    }
    for part, (usual, look_up) in known.items():
        name = st.query_params.get(part, st.query_params.get(OLD_NAMES[part], usual))
        try:
            if name:
                look_up(name)
        except FoolscopeError as error:
            refusals.add(part, error)
            name = usual
        st.session_state[f"subject_{part}"] = name


def _offered() -> dict[str, Card]:
    return {c.name: c for c in models.cards() if c.channels == 3 and not c.lab}


def _known(name: str) -> Card:
    """Return the card of a network that is offered here; raises `errors.UnknownName` for any other."""
    if name not in _offered():
        raise UnknownName.of("model", name, _offered())
    return _offered()[name]


def _networks(subject: Subject) -> None:
    cards = _offered()
    names = list(cards)
    preferences.keep("subject.model", subject.model)
    title = {name: model_title(card) for name, card in cards.items()}.__getitem__
    chosen = st.selectbox(say("Network"), names, format_func=title, key="subject.model")
    if chosen != subject.model:
        st.session_state.subject_model = chosen
        st.rerun()


def _pictures(engine: EngineBase, subject: Subject) -> None:
    names = pictures()
    names += [] if subject.image in names else [subject.image]
    titles = dict(
        zip(names, distinct(map(picture_title, names)), strict=True)
    )  # it tells them apart by title
    key = f"subject.image.{subject.image}"
    preferences.keep(key, subject.image)
    chosen = st.selectbox(say("Picture"), names, format_func=titles.__getitem__, key=key)
    file = st.file_uploader(say("Or your own photo"), key="subject.upload", max_upload_size=20)
    if file is not None and st.session_state.get("subject_file") != file.file_id:
        st.session_state.subject_file = file.file_id
        try:
            chosen = engine.uploads.add(file.getvalue(), file.name)
        except FoolscopeError as error:
            st.error(told(error))
    if chosen != subject.image:
        st.session_state.subject_image = chosen
        st.rerun()
    if subject.image.startswith(UPLOAD):
        for template, facts in engine.notes(subject.image):
            st.caption(say(template, **facts))
        st.caption(say("Your photo stays on this server's memory for a while and goes nowhere else."))
