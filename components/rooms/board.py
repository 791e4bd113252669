"""The wall of a room, as plain data for JSON: looked up once a period for all its walls, and each is sent
what changed since it was sent something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from components.i18n.text import named, told
from components.rooms import messages
from components.rooms.answers import answers
from components.rooms.standings import standings
from engine.base import EngineBase
from engine.history.recording import INTERRUPTED
from engine.rooms.outcomes import Outcomes
from engine.rooms.records import Member, Room
from engine.rooms.rooms import Rooms
from engine.rooms.summaries import Summaries, Summary
from errors import HistoryFailed

PERIOD = 1.0
"""Seconds between two looks at a room."""
Part = dict[str, Any]


class Board:
    """What the walls of one room show in one language. ``clock`` gives seconds."""

    def __init__(
        self,
        engine: EngineBase,
        rooms: Rooms,
        code: str,
        language: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rooms, self.code, self.language, self._clock = rooms, code, language, clock
        self._summaries = Summaries(engine)
        self._outcomes = Outcomes(rooms, code, self._summaries)
        self._lock, self._looked = threading.Lock(), float("-inf")
        self.version = 0
        self.tiles: dict[str, tuple[int, Part]] = {}
        self.gone: dict[str, int] = {}
        self.parts: dict[str, tuple[int, Any]] = {}

    def message(self, since: int) -> tuple[int, Part] | None:
        """Return the message with all that changed after the version ``since`` (0: everything), and the
        version that it leads to; None where nothing changed. Raises `errors.UnknownName` when the room has
        ended."""
        with self._lock:
            if self._clock() - self._looked >= PERIOD:
                self._looked = self._clock()
                self._look()
            if since >= self.version:
                return None
            tiles = [tile for version, tile in self.tiles.values() if version > since]
            gone = [key for key, version in self.gone.items() if version > since]
            parts = {name: part for name, (version, part) in self.parts.items() if version > since}
            sent = {"type": "wall", "all": since == 0, "tiles": tiles, "gone": gone}
            return self.version, sent | parts

    def _look(self) -> None:
        """Look the room up; what cannot be read now stays as it was, and the walls are told."""
        try:
            room = self.rooms.room(self.code)
            self._update(room)
            problem = ""
        except HistoryFailed as error:
            problem = told(error, self.language)
        self._set("problem", problem)

    def _update(self, room: Room) -> None:
        members = self.rooms.members(room.code)
        newest = {noted.member: noted for noted in self.rooms.newest_runs(room.code)}
        here = {member.id for member in members}
        summaries = self._summaries.of([noted.run for noted in newest.values() if noted.member in here])
        self._outcomes.update(list(newest.values()))
        fooled = self._outcomes.fooled()
        tiles = {}
        for member in members:
            summary = summaries.get(newest[member.id].run) if member.id in newest else None
            tiles[member.id] = self._tile(room, member, summary) | {"ever": member.id in fooled}
        self._place(tiles)
        self._set("people", len(members))
        self._set("fooled", len(fooled & here))
        self._set("broadcast", self._broadcast(room, here))
        self._set("room", messages.room(room, self.language) | {"hide_names": room.hide_names})
        self._set("standings", standings(self.rooms, room, self.language))
        self._set("answers", answers(self.rooms, room, self.language))

    def _broadcast(self, room: Room, here: set[str]) -> Part | None:
        """Return how many of the people have run what everybody is asked to run, and fooled the network."""
        if room.broadcast is None:
            return None
        number = room.broadcast.number
        ran, fooled = self._outcomes.ran(number), self._outcomes.fooled_by(number)
        return {"number": number, "ran": len(ran & here), "fooled": len(fooled & here)}

    def _tile(self, room: Room, member: Member, summary: Summary | None) -> Part:
        """Return what is shown of a member; with names hidden, no name."""
        name = "" if room.hide_names else member.name
        return {"id": member.id, "number": member.number, "name": name} | shown(summary, self.language)

    def _place(self, tiles: Mapping[str, Part]) -> None:
        """Take over the tiles by member, and note which are new or changed."""
        version = self.version + 1
        for key in self.tiles.keys() - tiles.keys():
            del self.tiles[key]
            self.gone[key], self.version = version, version
        for key, tile in tiles.items():
            if key not in self.tiles or self.tiles[key][1] != tile:
                self.tiles[key], self.version = (version, tile), version
                self.gone.pop(key, None)

    def _set(self, name: str, value: Any) -> None:
        """Note a part of the message, and whether it changed."""
        if name not in self.parts or self.parts[name][1] != value:
            self.version += 1
            self.parts[name] = (self.version, value)


def shown(summary: Summary | None, language: str) -> Part:
    """Return what is shown of a run, None for none; probabilities in thousandths."""
    if summary is None:
        return {"run": "", "state": "none", "fooled": False}
    other, label = summary.other_label, summary.label
    return {
        "run": summary.run,
        "state": state(summary),
        "place": summary.place,
        "fooled": summary.fooled,
        "step": summary.steps,
        "total": summary.total,
        "label": None if label is None else named(label, language),
        "probability": summary.probability and round(summary.probability, 4),
        "original": named(summary.original_label, language),
        "other": None if other is None else named(other, language),
        "at": list(summary.at),
        "curves": [[round(1000 * p) for p in curve] for curve in (summary.original, summary.other)],
    }


def state(summary: Summary) -> str:
    """Return where a run stands: waiting, running, paused, over, failed or interrupted."""
    if summary.reason == INTERRUPTED:
        return INTERRUPTED
    if summary.over and summary.status != "failed":
        return "over"
    return summary.status
