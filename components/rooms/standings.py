"""Who is ahead in a room's challenges, as plain data for JSON."""

from __future__ import annotations

from typing import Any

from components.rooms import challenges
from engine.rooms import ranking
from engine.rooms.competition import Competition, kind_of
from engine.rooms.ranking import Standing
from engine.rooms.records import Challenge, Member, Room
from engine.rooms.rooms import Rooms

SHOWN = 10
"""Rows of a challenge on the wall."""


def standings(rooms: Rooms, room: Room, language: str) -> list[dict[str, Any]]:
    """Return what the wall shows of a room's challenges: the first `SHOWN` of each; a member without a name
    where names are hidden."""
    members = {member.id: member for member in rooms.members(room.code)}
    ahead = ranking.standings(Competition(rooms), room, members)
    return [
        challenges.public(challenge, room, language)
        | {
            "people": len(ahead[challenge.id]),
            "rows": [
                _row(standing, challenge, members[standing.member], room, language)
                for standing in ahead[challenge.id][:SHOWN]
            ],
        }
        for challenge in room.challenges
    ]


def _row(
    standing: Standing, challenge: Challenge, member: Member, room: Room, language: str
) -> dict[str, Any]:
    return challenges.own(standing, kind_of(challenge), language) | {
        "number": member.number,
        "name": "" if room.hide_names else member.name,
        "picture": standing.submission.id,
    }
