"""What a room's members may do: every change holds at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import streamlit as st
from markupsafe import Markup

import attacks
import models
from app import service
from app.access import base
from app.teach import problems
from components.display import attack_families
from components.display.html_table import joined
from components.i18n.text import say
from engine.images.sources import samples
from engine.rooms.records import Allowed, Room
from errors import BadSetting
from models import weights

LEVELS = 255
Read = Callable[[Any], Any]
"""From what a widget holds to what `Allowed` does."""
NOTHING = "Expected at least one {kind}, got none: it stays as it was."


def show(room: Room) -> None:
    """Draw what is allowed, and let the teacher change it."""
    st.caption(say("Every change holds at once, for what is started from then on."))
    _names(room)
    left, middle, right = st.columns(3)
    with left:
        _number(
            room,
            "epsilon",
            say("Largest change, in 255ths"),
            (0.0, 255.0, 0.5),
            say("Of a pixel's value, for attacks with such a budget (linf)."),
            say("any"),
        )
        _switch(room, "camera", say("Camera"))
    with middle:
        _number(room, "steps", say("Steps a run"), (1, 10_000, 10), say("At most."))
        _switch(room, "uploads", say("Own pictures"))
    with right:
        _number(
            room,
            "seconds",
            say("Device seconds a run"),
            (0.1, 3600.0, 5.0),
            say("What a run may cost at most."),
        )
        _number(room, "runs", say("Runs at a time"), (1, 20, 1), say("Of a person, waiting ones among them."))


def _names(room: Room) -> None:
    """Let the teacher choose networks, attacks and pictures."""
    allowed = room.allowed
    here = [card.name for card in models.cards() if card.offline or weights.locate(card)]
    networks = [*here, *(name for name in allowed.models if name not in here)]
    _several(room, "models", say("Networks"), {name: models.card(name).title for name in networks})
    titles = {name: attack_families.called(name) for name in attack_families.ordered(attacks.registry())}
    _several(room, "attacks", say("Attacks"), titles)
    _several(
        room,
        "images",
        say("Pictures"),
        {s.name: say(s.label) for s in samples().values()},
        say("all pictures"),
    )
    shown = allowed.images or tuple(samples())
    tile = Markup('<img src="{}/samples/{}.jpg" alt="{}" title="{}" loading="lazy">')
    labels = {name: say(samples()[name].label) for name in shown}
    tiles = joined([tile.format(base(), name, label, label) for name, label in labels.items()])
    st.html(Markup('<div class="teach-pictures" data-test="pictures">{}</div>').format(tiles))


def _several(room: Room, name: str, words: str, titles: dict[str, str], nothing: str = "") -> None:
    """Let the teacher choose several of ``titles``; ``nothing``: what it means to choose none, "" where that
    is not possible."""
    place = _place(room, name, list(getattr(room.allowed, name)))
    st.multiselect(
        words,
        list(titles),
        format_func=titles.__getitem__,
        key=place,
        placeholder=nothing or say("choose"),
        on_change=_change,
        args=(room.code, name, place, tuple if nothing else _some(name)),
    )


def _some(name: str) -> Read:
    def read(chosen: list[str]) -> tuple[str, ...]:
        if not chosen:
            raise BadSetting(NOTHING, kind={"models": "network", "attacks": "attack"}[name])
        return tuple(chosen)

    return read


def _number(
    room: Room, name: str, words: str, limits: tuple[Any, Any, Any], help: str, nothing: str = ""
) -> None:
    """Let the teacher set a number; ``nothing``: what an empty field means, "" where there must be one."""
    value = getattr(room.allowed, name)
    read: Read = type(limits[0])
    if name == "epsilon":
        value, read = round(LEVELS * value, 6) or None, _level
    least, most, step = limits
    place = _place(room, name, None if value is None else type(limits[0])(value))
    st.number_input(
        words,
        least,
        most,
        None if nothing else "min",
        step=step,
        placeholder=nothing or None,
        format="%d" if read is int else "%g",
        key=place,
        help=help,
        on_change=_change,
        args=(room.code, name, place, read),
    )


def _level(levels: float | None) -> float:
    return (levels or 0.0) / LEVELS


def _switch(room: Room, name: str, words: str) -> None:
    place = _place(room, name, getattr(room.allowed, name))
    st.toggle(words, key=place, on_change=_change, args=(room.code, name, place, bool))


def _place(room: Room, name: str, value: object) -> str:
    """Return the key of a setting's widget, which shows what the database holds."""
    place = f"teach.allowed.{name}.{room.code}"
    st.session_state[place] = value
    return place


def _change(code: str, name: str, place: str, read: Read) -> None:
    rooms, held = service.rooms(), st.session_state[place]

    def change() -> None:
        allowed: Allowed = replace(rooms.room(code).allowed, **{name: read(held)})
        rooms.change(code, allowed=allowed)

    problems.carry_out(change)
