"""Of which rooms this page has the key: the browser's own, by its cookie, and those typed in here."""

from __future__ import annotations

import streamlit as st

from app import service
from components import owner
from engine.rooms import teachers
from engine.rooms.records import Opened
from engine.rooms.rooms import spelt
from errors import NotAllowed, UnknownName

TYPED = "teach.keys"
"""In the session: keys by code, for browsers that send no cookie."""


def open_room(title: str) -> Opened:
    """Open a room and remember its key; raises `errors.HistoryFailed`."""
    opened = service.rooms().open(title)
    enter(opened.room.code, opened.key)
    return opened


def enter(code: str, key: str) -> Opened:
    """Remember the key of a room.

    Raises `errors.UnknownName`, `errors.NotAllowed`, `errors.HistoryFailed`.
    """
    rooms = service.rooms()
    room = rooms.teacher(code, key.strip())
    st.session_state.setdefault(TYPED, {})[room.code] = key.strip()
    if owner.secret():
        teachers.remember(rooms, room.code, key.strip(), owner.secret())
    return Opened(room, key.strip())


def leave(code: str) -> None:
    """Forget the key of a room."""
    st.session_state.get(TYPED, {}).pop(code, None)
    if owner.secret():
        teachers.forget(service.rooms(), code, owner.secret())


def known() -> list[Opened]:
    """Return the open rooms whose keys are here, the newest first; raises `errors.HistoryFailed`."""
    rooms, typed = service.rooms(), st.session_state.get(TYPED, {})
    opened = teachers.remembered(rooms, owner.secret()) if owner.secret() else []
    for code in set(typed) - {room.room.code for room in opened}:
        try:
            opened.append(Opened(rooms.teacher(code, typed[code]), typed[code]))
        except (UnknownName, NotAllowed):  # it has ended
            typed.pop(code)
    return sorted(opened, key=lambda room: -room.room.opened)


def room(code: str) -> Opened | None:
    """Return a room whose key is here; raises `errors.HistoryFailed`."""
    return next((opened for opened in known() if opened.room.code == spelt(code)), None)
