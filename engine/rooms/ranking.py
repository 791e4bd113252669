"""Who is ahead in a challenge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from engine.rooms.challenges.contract import Kind
from engine.rooms.competition import Competition, Submission, kind_of
from engine.rooms.records import Challenge, Room
from engine.rooms.votes import Tally, tallies


@dataclass(frozen=True)
class Standing:
    """A member's best picture in a challenge. ``rank``: from 1 on, None while people have not judged it;
    ``score`` of the ``submission``; ``tally``: what people see in it; ``attempts``: of the member."""

    rank: int | None
    member: str
    submission: Submission
    score: float
    tally: Tally
    attempts: int


def standings(competition: Competition, room: Room, members: Iterable[str]) -> dict[str, list[Standing]]:
    """Return who is ahead in each of a room's challenges, among ``members``, by challenge; those whose
    pictures people have still to judge come last. Of equal scores the earlier one is ahead."""
    known, judged = set(members), tallies(competition, room)
    handed_in = [
        submission for submission in competition.submissions(room.code) if submission.member in known
    ]
    by_challenge: dict[str, list[Submission]] = {challenge.id: [] for challenge in room.challenges}
    for submission in handed_in:
        by_challenge[submission.challenge].append(submission)
    return {
        challenge.id: _ranked(challenge, by_challenge[challenge.id], judged, room.judging)
        for challenge in room.challenges
    }


def _ranked(
    challenge: Challenge, handed_in: list[Submission], judged: Mapping[str, tuple[int, int]], judging: bool
) -> list[Standing]:
    kind = kind_of(challenge)
    attempts: dict[str, int] = {}
    best: dict[str, Standing] = {}
    for submission in handed_in:
        attempts[submission.member] = attempts.get(submission.member, 0) + 1
        if submission.score is None:
            continue
        tally = Tally(*judged.get(submission.id, (0, 0)), kind.votes)
        if judging and tally.judged and not tally.seen:
            continue  # people no longer see it
        standing = Standing(None, submission.member, submission, submission.score, tally, 0)
        before = best.get(submission.member)
        if before is None or _place(kind, standing, judging) < _place(kind, before, judging):
            best[submission.member] = standing
    ordered = sorted(best.values(), key=lambda standing: _place(kind, standing, judging))
    return [
        Standing(
            None if judging and not standing.tally.seen else number,
            standing.member,
            standing.submission,
            standing.score,
            standing.tally,
            attempts[standing.member],
        )
        for number, standing in enumerate(ordered, 1)
    ]


def _place(kind: Kind, standing: Standing, judging: bool) -> tuple[bool, float, int]:
    """Return what standings are sorted by, the best first."""
    score = standing.score if kind.lower_wins else -standing.score
    return judging and not standing.tally.seen, score, standing.submission.number
