"""What a room's members answered to the question that is asked, as plain data for JSON."""

from __future__ import annotations

from typing import Any

from components.rooms import messages
from engine.rooms import bets
from engine.rooms.records import Room
from engine.rooms.rooms import Rooms


def answers(rooms: Rooms, room: Room, language: str) -> dict[str, Any] | None:
    """Return what the wall shows of the answers, None where nothing is asked: the question as members see it,
    ``counts`` by answer, how many ``people`` have bet and of how many ``members``."""
    asked = messages.asked(room, language)
    if asked is None:
        return None
    counts = bets.counts(rooms, room, bets.Question(room.question, len(asked.get("answers", ()))))
    return asked | {"counts": counts, "people": sum(counts), "members": len(rooms.members(room.code))}
