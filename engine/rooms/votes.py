"""What people still see: pictures that count are shown to others, who choose among four names."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engine.base import EngineBase
from engine.images.sources import samples
from engine.rooms import tables
from engine.rooms.challenges.contract import Kind
from engine.rooms.competition import COLUMNS, Competition, Submission, kind_of
from engine.rooms.records import Member, Room
from engine.run import Prediction
from errors import BadSetting, NotAllowed, UnknownName
from models.superclasses import superclasses

SECONDS, OPEN = 2.0, 10.0
"""Seconds for which a picture is shown, and for which it is handed out: it may be lost on its way."""
MOST_SHOWN = 100_000
"""Pictures handed out to somebody of which that is remembered."""
NAMES, SKIPPED, NEAR = 4, 5, 30
"""So many names are offered. The wrong ones are of the ``NEAR`` classes that the network holds for likeliest
after the first ``SKIPPED``, which may be other words for the same."""
OFF = "Nobody is asked what they see in this room now."
NO_PICTURE = "Expected a picture that you were shown."
GONE = "You have seen this picture: it was shown for {seconds} seconds."
NO_NAME = "Expected one of the names that were shown with the picture."
AGAIN = "You have judged this picture already."


@dataclass(frozen=True)
class Ballot:
    """A picture that somebody is to name. ``picture``: what it is called for this person alone; ``names``:
    labels to choose from; ``seen``: it was shown, and is not shown again."""

    picture: str
    names: tuple[str, ...]
    seen: bool = False


@dataclass(frozen=True)
class Vote:
    """An answer: whether it was ``right``, the ``true`` name, and what the network ``says``."""

    right: bool
    true: str
    says: str


@dataclass(frozen=True)
class Tally:
    """How many people have looked at a picture, and how many named it rightly; ``needed``: so many must have
    looked before it is judged."""

    votes: int
    right: int
    needed: int

    @property
    def judged(self) -> bool:
        """Return whether enough people have looked."""
        return self.votes >= self.needed

    @property
    def seen(self) -> bool:
        """Return whether it is judged and most people still name it rightly."""
        return self.judged and 2 * self.right > self.votes


class Votes:
    """Who saw what, in the rooms of a competition. Safe to share between threads."""

    def __init__(
        self,
        engine: EngineBase,
        competition: Competition,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock``: seconds that never go back."""
        self.engine, self.competition, self._clock = engine, competition, clock
        self._shown: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def next(self, room: Room, member: Member) -> Ballot | None:
        """Return what a member is to look at next, None where there is nothing: of others' pictures that it
        has not judged, one of those that fewest have judged."""
        if not room.judging:
            return None
        waiting = self._waiting(room, member)
        least = [row for row in waiting if row.judged == waiting[0].judged]
        if not least:
            return None
        chosen = min(least, key=lambda row: alias(row.id, member))
        submission = Submission(**{column.name: getattr(chosen, column.name) for column in COLUMNS})
        picture = alias(submission.id, member)
        return Ballot(picture, self.names(room, submission, member), self._gone(picture))

    def show(self, room: Room, member: Member, picture: str) -> bytes:
        """Return a picture as PNG bytes, for `OPEN` seconds from the first time on; after that raises
        `errors.NotAllowed`. Raises `errors.UnknownName` as `find` does."""
        submission = self.find(room, member, picture)
        with self._lock:
            if self._gone(picture):
                raise NotAllowed(GONE, seconds=f"{SECONDS:g}")
            self._shown.setdefault(picture, self._clock())
            while len(self._shown) > MOST_SHOWN:
                self._shown.popitem(last=False)
        return self.competition.png(submission.id)

    def _gone(self, picture: str) -> bool:
        """Say whether a picture was shown and is not shown again."""
        return self._clock() - self._shown.get(picture, self._clock()) >= OPEN

    def vote(self, room: Room, member: Member, picture: str, choice: str) -> Vote:
        """Keep what a member sees in a picture; raises `errors.FoolscopeError` for one that it was not shown,
        its own, one that it has judged, and for another name than those that were shown."""
        if not room.judging:
            raise NotAllowed(OFF)
        submission = self.find(room, member, picture)
        if choice not in self.names(room, submission, member):
            raise BadSetting(NO_NAME)
        kind = self._kind(room, submission)
        true = true_label(kind, self._ranking(kind))
        right = choice == true or choice in samples()[kind.image].shows
        self._keep(submission, member, choice, right)
        return Vote(right, true, submission.label)

    def find(self, room: Room, member: Member, picture: str) -> Submission:
        """Return which submission of somebody else a picture is; raises `errors.UnknownName`."""
        column = tables.submissions.c
        others = (column.room == room.code) & column.counts & (column.member != member.id)
        with self.competition.database.reading() as connection:
            names = connection.scalars(sa.select(column.id).where(others)).all()
            wanted = next((name for name in names if alias(name, member) == picture), None)
            if wanted is None:
                raise UnknownName(NO_PICTURE)
            row = connection.execute(sa.select(*COLUMNS).where(column.id == wanted)).one()
        return Submission(**row._mapping)

    def judged(self, member: Member) -> int:
        """Return how many pictures a member has judged."""
        own = sa.select(sa.func.count()).where(tables.votes.c.member == member.id)
        with self.competition.database.reading() as connection:
            return connection.scalar(own) or 0

    def names(self, room: Room, submission: Submission, member: Member) -> tuple[str, ...]:
        """Return the names among which a member chooses: the true one, what the network says, and others that
        are plausible, in an order of the member's own."""
        kind = self._kind(room, submission)
        ranking = self._ranking(kind)
        chance = random.Random(alias(submission.id, member) + "names")
        chosen = dict.fromkeys([true_label(kind, ranking), submission.label])
        others = plausible(kind, ranking, set(chosen))
        names = [*chosen, *chance.sample(others, min(NAMES - len(chosen), len(others)))]
        chance.shuffle(names)
        return tuple(names)

    # ---- the database --------------------------------------------------------------------

    def _waiting(self, room: Room, member: Member) -> Sequence[Any]:
        """Return what a member may be shown, that which fewest have judged first."""
        submissions, votes = tables.submissions.c, tables.votes.c
        judged = sa.func.count(votes.member).label("judged")
        own = sa.select(votes.submission).where(votes.member == member.id)
        query = (
            sa.select(*COLUMNS, judged)
            .outerjoin_from(tables.submissions, tables.votes, votes.submission == submissions.id)
            .where(submissions.room == room.code, submissions.counts, submissions.member != member.id)
            .where(submissions.id.not_in(own))
            .group_by(submissions.id)
            .order_by(judged, submissions.number)
            .limit(50)
        )
        with self.competition.database.reading() as connection:
            return connection.execute(query).all()

    def _keep(self, submission: Submission, member: Member, choice: str, right: bool) -> None:
        votes = tables.votes.c
        mine = (votes.submission == submission.id) & (votes.member == member.id)
        row = {
            "submission": submission.id,
            "member": member.id,
            "room": submission.room,
            "choice": choice,
            "right": right,
            "at": self.competition.rooms.clock(),
        }
        with self.competition.database.writing(submission.room) as connection:
            if connection.execute(sa.select(votes.choice).where(mine)).first():
                raise NotAllowed(AGAIN)
            connection.execute(sa.insert(tables.votes).values(row))

    def _kind(self, room: Room, submission: Submission) -> Kind:
        return kind_of(self.competition.find(room, submission.challenge))

    def _ranking(self, kind: Kind) -> list[Prediction]:
        return self.engine.classify(kind.model, kind.image)


def tallies(competition: Competition, room: Room) -> dict[str, tuple[int, int]]:
    """Return how many looked at each of a room's pictures and how many were right, by submission."""
    votes = tables.votes.c
    right = sa.func.sum(sa.case((votes.right, 1), else_=0))
    query = sa.select(votes.submission, sa.func.count(), right).where(votes.room == room.code)
    with competition.database.reading() as connection:
        return {row[0]: (row[1], row[2]) for row in connection.execute(query.group_by(votes.submission))}


def alias(submission: str, member: Member) -> str:
    """Return what a picture is called for one member: others' names for it differ, and none tells whose it
    is."""
    return hashlib.sha256(f"{submission}:{member.id}".encode()).hexdigest()[:32]


def true_label(kind: Kind, ranking: Sequence[Prediction]) -> str:
    """Return the right name of a challenge's original among the network's classes: the likeliest of those
    that its sample is said to show, else the first."""
    shows = samples()[kind.image].shows
    return next((one.label for one in ranking if one.label in shows), ranking[0].label)


def plausible(kind: Kind, ranking: Sequence[Prediction], besides: set[str]) -> list[str]:
    """Return labels that are wrong and not absurd: likely ones, of another superclass than the true one."""
    true = true_label(kind, ranking)
    index = kind.card.labels.index(true)
    families = [classes for classes in superclasses(kind.card).values() if index in classes]
    near = {kind.card.labels[one] for classes in families for one in classes}
    wrong = besides | set(samples()[kind.image].shows)
    others = [one.label for one in ranking if one.label not in wrong]
    distinct = [label for label in others if label not in near][SKIPPED : SKIPPED + NEAR]
    return distinct if len(distinct) >= NAMES else others
