"""The end of a room: everything of it is deleted, from memory and from the disk."""

from __future__ import annotations

import logging

from engine.base import EngineBase
from engine.history.history import SECONDS_A_DAY
from engine.rooms.rooms import Rooms
from errors import UnknownName

log = logging.getLogger("foolscope")


def end(engine: EngineBase, rooms: Rooms, code: str) -> None:
    """Delete a room with its members, their runs and all that they brought or handed in.

    Whoever breaks off finds it frozen and can end it again. Raises `errors.UnknownName`,
    `errors.HistoryFailed`.
    """
    room = rooms.change(code, frozen=True)  # first, so that nothing new begins
    owners = [member.owner for member in rooms.members(room.code, removed=True)]
    uploads = rooms.uploads_of(room.code)
    engine.delete_all_runs(owners)
    gone = rooms.end(room.code)
    for token in uploads:
        engine.uploads.drop(token)
    # Once more: what began before the room was frozen. It gives the rows' room back to the disk, too.
    engine.delete_all_runs([member.owner for member in gone])


def sweep(engine: EngineBase, rooms: Rooms, days: float) -> list[str]:
    """End the rooms that nobody has used for so many days, and return their codes; raises
    `errors.HistoryFailed`. Where there is no database yet, none is made."""
    if not rooms.database.exists():
        return []
    gone = []
    for code in rooms.unused(rooms.clock() - days * SECONDS_A_DAY):
        try:
            end(engine, rooms, code)
        except UnknownName:  # its teacher has just ended it
            continue
        gone.append(code)
    if gone:
        log.info("%d rooms that nobody used for %g days are deleted", len(gone), days)
    return gone
