"""Who is ahead in a room's challenges, as plain data for JSON."""

from __future__ import annotations

from typing import Any

from engine.rooms.records import Room
from engine.rooms.rooms import Rooms


def standings(rooms: Rooms, room: Room, language: str) -> list[dict[str, Any]]:
    """Return what the wall shows of a room's challenges."""
    return []
