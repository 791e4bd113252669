"""What people still see: four names, never one's own picture, and only what most name rightly counts."""

from __future__ import annotations

from typing import Any

import pytest

import models
from engine.images.sources import samples
from engine.rooms.challenges import build
from engine.rooms.competition import Submission
from engine.rooms.ranking import Standing, standings
from engine.rooms.records import Challenge, Member
from engine.rooms.votes import AGAIN, NAMES, NO_NAME, OFF, OPEN, Tally, Votes, alias, plausible, true_label
from errors import BadSetting, NotAllowed, UnknownName
from tests.engine.rooms.conftest import Class
from tests.support.postgresql import both

SURE: dict[str, Any] = {"epsilon": 0.3, "step_size": 0.02, "steps": 20}
SURER: dict[str, Any] = {"epsilon": 0.5, "step_size": 0.05, "steps": 20}


@pytest.fixture
def challenge(lesson: Class) -> Challenge:
    lesson.rooms.change(lesson.code, judging=True)
    return lesson.set("least_l2", model="lenet", image="seven")


def handed_in(lesson: Class, member: Member, challenge: Challenge, settings: dict[str, Any]) -> Submission:
    judged: Submission = lesson.hand_in(member, challenge, lesson.run(member, "lenet", "seven", **settings))
    assert judged.counts
    return judged


def ahead(lesson: Class, challenge: Challenge) -> list[Standing]:
    members = [member.id for member in lesson.rooms.members(lesson.code)]
    return standings(lesson.competition, lesson.room, members)[challenge.id]


def look(lesson: Class, member: Member, choice: str = "7") -> bool:
    ballot = lesson.votes.next(lesson.room, member)
    assert ballot
    return lesson.votes.vote(lesson.room, member, ballot.picture, choice).right


def test_four_names_in_an_order_of_ones_own(lesson: Class, challenge: Challenge) -> None:
    people = [lesson.join(name) for name in ("Anna", "Ben", "Chen", "Dana", "Emil", "Fay")]
    judged = handed_in(lesson, people[0], challenge, SURE)
    ballots = [lesson.votes.next(lesson.room, member) for member in people[1:]]
    for ballot in ballots:
        assert ballot and len(set(ballot.names)) == NAMES
        assert {"7", judged.label} <= set(ballot.names) <= set(models.card("lenet").labels)
    assert len({ballot.picture for ballot in ballots if ballot}) == 5
    assert len({ballot.names for ballot in ballots if ballot}) > 1
    assert [lesson.votes.next(lesson.room, member) for member in people[1:]] == ballots
    words = "".join(ballot.picture for ballot in ballots if ballot)
    assert not any(secret in words for secret in (judged.id, judged.run, people[0].id))


@both
def test_nobody_judges_its_own_picture_nor_one_twice(lesson: Class, challenge: Challenge) -> None:
    anna, ben = lesson.join("Anna"), lesson.join("Ben")
    judged = handed_in(lesson, anna, challenge, SURE)
    assert lesson.votes.next(lesson.room, anna) is None
    for member in (anna, lesson.join("Chen")):
        for name in (judged.id, alias(judged.id, anna), alias(judged.id, ben), ""):
            with pytest.raises(UnknownName):
                lesson.votes.vote(lesson.room, member, name, "7")
    ballot = lesson.votes.next(lesson.room, ben)
    assert ballot
    with pytest.raises(BadSetting, match=NO_NAME):
        lesson.votes.vote(lesson.room, ben, ballot.picture, "panda")
    vote = lesson.votes.vote(lesson.room, ben, ballot.picture, judged.label)
    assert (vote.right, vote.true, vote.says) == (False, "7", judged.label)
    with pytest.raises(NotAllowed, match=AGAIN):
        lesson.votes.vote(lesson.room, ben, ballot.picture, "7")
    assert lesson.votes.next(lesson.room, ben) is None and lesson.votes.judged(ben) == 1


def test_a_picture_is_shown_once_and_can_be_judged_later(lesson: Class, challenge: Challenge) -> None:
    now = [0.0]
    votes = Votes(lesson.engine, lesson.competition, clock=lambda: now[0])
    anna, ben, chen = (lesson.join(name) for name in ("Anna", "Ben", "Chen"))
    judged = handed_in(lesson, anna, challenge, SURE)
    ballot = votes.next(lesson.room, ben)
    assert ballot and not ballot.seen
    png = votes.show(lesson.room, ben, ballot.picture)
    now[0] = OPEN - 0.1
    assert votes.show(lesson.room, ben, ballot.picture) == png == lesson.competition.png(judged.id)
    now[0] = OPEN
    with pytest.raises(NotAllowed, match="shown for 2 seconds"):
        votes.show(lesson.room, ben, ballot.picture)
    again = votes.next(lesson.room, ben)
    assert again and again.seen and (again.picture, again.names) == (ballot.picture, ballot.names)
    assert votes.show(lesson.room, chen, alias(judged.id, chen)) == png, "others have not seen it"
    with pytest.raises(UnknownName):
        votes.show(lesson.room, anna, ballot.picture)
    assert votes.vote(lesson.room, ben, ballot.picture, "7").right


def test_those_that_fewest_have_judged_come_first(lesson: Class, challenge: Challenge) -> None:
    anna, ben, chen = (lesson.join(name) for name in ("Anna", "Ben", "Chen"))
    first = handed_in(lesson, anna, challenge, SURE)
    assert look(lesson, ben)
    second = handed_in(lesson, anna, challenge, SURER)
    shown = lesson.votes.next(lesson.room, chen)
    assert shown and shown.picture == alias(second.id, chen)
    assert look(lesson, chen)
    shown = lesson.votes.next(lesson.room, chen)
    assert shown and shown.picture == alias(first.id, chen)


@both
def test_only_what_most_still_name_rightly_counts_while_people_judge(
    lesson: Class, challenge: Challenge
) -> None:
    anna, ben, *voters = (lesson.join(name) for name in ("Anna", "Ben", "Chen", "Dana", "Emil"))
    plain = handed_in(lesson, ben, challenge, SURER)
    assert [row.rank for row in ahead(lesson, challenge)] == [None]
    small = handed_in(lesson, anna, challenge, SURE)
    assert [row.submission.id for row in ahead(lesson, challenge)] == [small.id, plain.id]
    for voter in voters:
        for _ in range(2):
            ballot = lesson.votes.next(lesson.room, voter)
            assert ballot
            right = ballot.picture == alias(plain.id, voter) or voter == voters[0]
            choice = "7" if right else small.label
            lesson.votes.vote(lesson.room, voter, ballot.picture, choice)
    (row,) = ahead(lesson, challenge)
    assert (row.rank, row.member, row.tally) == (1, ben.id, Tally(3, 3, 3)) and row.tally.seen
    lesson.rooms.change(lesson.code, judging=False)
    assert [row.submission.id for row in ahead(lesson, challenge)] == [small.id, plain.id]
    assert not ahead(lesson, challenge)[0].tally.seen


def test_half_of_them_is_not_most() -> None:
    assert not Tally(4, 2, 3).seen and Tally(4, 3, 3).seen and not Tally(2, 2, 3).judged


def test_how_many_must_look_is_a_setting(lesson: Class) -> None:
    lesson.rooms.change(lesson.code, judging=True)
    challenge = lesson.set("least_l2", model="lenet", image="seven", votes=1)
    anna, ben = lesson.join("Anna"), lesson.join("Ben")
    handed_in(lesson, anna, challenge, SURE)
    assert look(lesson, ben) and [row.rank for row in ahead(lesson, challenge)] == [1]


def test_nobody_is_asked_unless_people_judge(lesson: Class, challenge: Challenge) -> None:
    anna, ben = lesson.join("Anna"), lesson.join("Ben")
    handed_in(lesson, anna, challenge, SURE)
    lesson.rooms.change(lesson.code, judging=False)
    assert lesson.votes.next(lesson.room, ben) is None
    with pytest.raises(NotAllowed, match=OFF):
        lesson.votes.vote(lesson.room, ben, "nothing", "7")


def test_names_are_right_for_the_photo_and_the_wrong_ones_are_of_other_kin(lesson: Class) -> None:
    kind = build("least_l2", {"model": "efficientnet_lite0", "image": "dog"})
    ranking = lesson.engine.classify(kind.model, kind.image)
    assert true_label(kind, ranking) == "German shepherd"
    dogs = set(models.card("efficientnet_lite0").labels[151:269])
    others = plausible(kind, ranking, {"German shepherd", "malinois"})
    assert len(others) == 30 and not dogs & set(others)
    baseball = build("least_l2", {"model": "photos", "image": "baseball"})
    seen = lesson.engine.classify("photos", "baseball")
    assert seen[0].label == "temple" and true_label(baseball, seen) == "ball"
    assert not set(samples()["baseball"].shows) & set(plausible(baseball, seen, set()))
