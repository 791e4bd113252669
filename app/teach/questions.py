"""The questions of a room, for its teacher."""

from __future__ import annotations

from engine.rooms.records import Room


def render(room: Room, key: str) -> None:
    """Draw the questions that the teacher can ask everybody, and the one that is asked now; nothing yet.

    ``room`` is as it is in the database now; ``key`` is the teacher's, for addresses that ask for it. What is
    pressed is carried out by `app.teach.problems.carry_out`, whose sentences the page shows. Keys of widgets
    begin with ``teach.questions.``.
    """
