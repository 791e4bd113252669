"""The challenges of a room, for its teacher: ready-made ones and the teacher's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import streamlit as st

import models
from app import service
from app.teach import problems
from components.i18n import preferences
from components.i18n.text import named, say, told
from components.rooms import challenges as shown
from engine.images.sources import samples
from engine.rooms.challenges import OFFERS, build, registry
from engine.rooms.challenges.contract import Kind
from engine.rooms.competition import Competition, kind_of
from engine.rooms.records import TITLE, Challenge, Room
from errors import FoolscopeError
from models import weights
from models.core import Card
from models.superclasses import superclasses

WHAT_FOR = (
    "Members hand in their pictures; the server judges the saved file by itself, and the wall shows who is "
    "ahead."
)
COMMON = ("model", "image", "target", "votes")
"""Settings that every kind has."""
WORDS = {
    "hidden": "Hidden network",
    "family": "Family of classes",
    "quality": "JPEG quality",
    "levels": "Grey levels that a value may change by",
}
"""What the other settings are called."""


def render(room: Room, key: str) -> None:
    """Draw the room's challenges as a list, and let the teacher set, open, close and remove them.

    ``room`` is as it is in the database now; ``key`` is the teacher's.
    """
    st.caption(say(WHAT_FOR))
    for challenge in room.challenges:
        _challenge(room, challenge)
    _offer(room)
    with st.expander(say("A challenge of your own")):
        _own(room)


def _rule(kind: Kind) -> str:
    return shown.told(kind.said(), preferences.language())


def _competition() -> Competition:
    return service.judge().competition


def _challenge(room: Room, challenge: Challenge) -> None:
    """Draw a challenge with its rule and how many pictures count, and what can be done with it."""
    counting = _competition().submissions(room.code, counting=True)
    count = sum(submission.challenge == challenge.id for submission in counting)
    place = f"teach.challenges.open.{challenge.id}"
    st.session_state[place] = challenge.open
    with st.container(border=True, key=f"teach_challenge_{challenge.number}"):
        st.markdown(f"**{say(challenge.title)}**  \n{_rule(kind_of(challenge))}")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.toggle(say("Takes pictures"), key=place, on_change=_switched, args=(room, challenge.id, place))
            st.caption(say("pictures that count: {count}", count=count), width="content")
            with st.popover(say("Remove"), type="tertiary", width="content"):
                st.caption(say("What was handed in for it is deleted too."))
                if st.button(say("Remove the challenge"), key=f"teach.challenges.remove.{challenge.id}"):
                    problems.carry_out(lambda: _competition().remove(room, challenge.id))
                    st.rerun()


def _switched(room: Room, challenge: str, place: str) -> None:
    problems.carry_out(lambda: _competition().switch(room, challenge, bool(st.session_state[place])))


def _offer(room: Room) -> None:
    """Let the teacher set a challenge that is ready."""
    titles = {offer.name: say(offer.title) for offer in OFFERS.values()}
    name = st.selectbox(
        say("Ready-made challenges"),
        list(titles),
        format_func=titles.__getitem__,
        key=f"teach.challenges.offer.{room.code}",
    )
    offer = OFFERS[name]
    st.caption(_rule(build(offer.kind, offer.settings)))
    if st.button(say("Set this challenge"), key="teach.challenges.set"):
        _add(room, offer.kind, offer.settings, offer.title)


def _add(room: Room, kind: str, settings: Mapping[str, Any], title: str) -> None:
    engine = service.engine()
    problems.carry_out(lambda: _competition().add(engine, room, kind, settings, title))
    st.rerun()


def _own(room: Room) -> None:
    """Let the teacher make a challenge."""
    kinds = registry()
    titles = {name: say(kind.title) for name, kind in kinds.items()}
    name = _one(room, "kind", say("Kind of challenge"), titles)
    left, right = st.columns(2)
    with left:
        networks = {card.name: card.title for card in models.cards() if _judges(card)}
        model = _one(room, "model", say("Network"), networks)
        target = _one(room, f"target.{model}", say("Make it say"), _targets(model))
    with right:
        image = _one(room, "image", say("Picture"), {s.name: say(s.label) for s in samples().values()})
        more = _others(room, kinds[name], model)
    title = st.text_input(
        say("What it is called, if you like"), max_chars=TITLE, key=f"teach.challenges.title.{room.code}"
    )
    settings = {"model": model, "image": image, "target": target, **more}
    try:
        st.caption(_rule(build(name, settings)))
    except FoolscopeError as error:
        st.caption(told(error))
    if st.button(say("Set your challenge"), key="teach.challenges.set_own"):
        _add(room, name, settings, title)


def _judges(card: Card) -> bool:
    return card.offline or weights.locate(card) is not None


def _targets(model: str) -> dict[str, str]:
    return {"": say("anything else")} | {label: named(label) for label in models.card(model).labels}


def _one(room: Room, name: str, words: str, titles: Mapping[str, str]) -> str:
    place = f"teach.challenges.own.{name}.{room.code}"
    return str(st.selectbox(words, list(titles), format_func=titles.__getitem__, key=place))


def _others(room: Room, kind: type[Kind], model: str) -> dict[str, Any]:
    """Let the teacher choose the settings that only this kind has."""
    card = models.card(model)
    chosen: dict[str, Any] = {}
    options = {
        "hidden": {
            other.name: other.title
            for other in models.cards()
            if other.channels == card.channels and other.name != model and _judges(other)
        },
        "family": {family: family for family in superclasses(card)},
    }
    for setting in fields(kind):
        if setting.name in COMMON:
            continue
        words, place = say(WORDS[setting.name]), f"teach.challenges.own.{setting.name}.{room.code}"
        if setting.name in options:
            chosen[setting.name] = _one(room, f"{setting.name}.{model}", words, options[setting.name])
        else:
            chosen[setting.name] = st.number_input(words, 1, 255, int(str(setting.default)), key=place)
    return chosen
