"""What a room's members answered to the question that is asked, as plain data for JSON."""

from __future__ import annotations

from typing import Any

from engine.rooms.records import Room
from engine.rooms.rooms import Rooms


def answers(rooms: Rooms, room: Room, language: str) -> dict[str, Any] | None:
    """Return what the wall shows of the answers, None where nothing is asked."""
    return None
