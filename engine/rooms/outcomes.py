"""Which of a room's members have fooled the network, counted without asking for every run again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from engine.rooms.records import MemberRun
from engine.rooms.rooms import Rooms
from engine.rooms.summaries import Summaries


class Outcomes:
    """Who has run what, and with what outcome. A run's outcome is noted once, at its end; all that were
    started before are read in one query."""

    def __init__(self, rooms: Rooms, code: str, summaries: Summaries) -> None:
        self._rooms, self._code, self._summaries = rooms, code, summaries
        self._seen: dict[str, int] | None = None
        self._open: dict[str, MemberRun] = {}
        self._fooled: set[str] = set()
        self._ran_by: dict[int, set[str]] = defaultdict(set)
        self._fooled_by: dict[int, set[str]] = defaultdict(set)
        self._now: list[MemberRun] = []

    def update(self, newest: Sequence[MemberRun]) -> None:
        """Take in what is new; ``newest``: the newest run of each member. Raises `errors.HistoryFailed`."""
        seen = self._seen
        if seen is None or any(noted.number > seen.get(noted.member, 0) + 1 for noted in newest):
            self._read_all()
        else:
            for noted in newest:
                if noted.number > seen.get(noted.member, 0):
                    self._note(noted)
        self._follow()

    def fooled(self) -> set[str]:
        """Return the members of whose runs one fooled the network."""
        return self._fooled | {noted.member for noted in self._now}

    def ran(self, broadcast: int) -> set[str]:
        """Return the members who have run a broadcast."""
        return set(self._ran_by[broadcast])

    def fooled_by(self, broadcast: int) -> set[str]:
        """Return the members who have fooled the network by what a broadcast asks for."""
        return self._fooled_by[broadcast] | {
            noted.member for noted in self._now if noted.broadcast == broadcast
        }

    def _read_all(self) -> None:
        self._seen = {}
        for noted, fooled in self._rooms.outcomes(self._code):
            self._note(noted)
            if self._summaries.held(noted.run) is None:
                self._settle(noted, fooled)

    def _note(self, noted: MemberRun) -> None:
        assert self._seen is not None
        self._seen[noted.member] = max(noted.number, self._seen.get(noted.member, 0))
        self._open[noted.run] = noted
        self._ran_by[noted.broadcast].add(noted.member)

    def _follow(self) -> None:
        """Look at the runs that were not over."""
        self._now = []
        for noted in list(self._open.values()):
            run = self._summaries.held(noted.run)
            if run is None:  # over, and no longer in memory: the database has what came of it
                self._seen = None
                continue
            over, count = run.over, len(run)
            fooled = count > 0 and run.succeeded(count - 1)
            if over:
                self._settle(noted, fooled)
            elif fooled:
                self._now.append(noted)

    def _settle(self, noted: MemberRun, fooled: bool) -> None:
        self._open.pop(noted.run, None)
        if fooled:
            self._fooled.add(noted.member)
            self._fooled_by[noted.broadcast].add(noted.member)
