"""What the bench of a room says of the queue: places and waits that were told against those that were."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from bench import room
from bench.room import NETWORKS, STEPS, Measured, Person, Turn, Wait
from bench.students import Received, Server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=0.0)
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def waiting(place: int, wait: float) -> dict[str, Any]:
    return {"type": "status", "status": "waiting", "place": place, "wait": wait}


RUNNING: dict[str, Any] = {"type": "status", "status": "running", "wait": None}
PAUSED: dict[str, Any] = {"type": "status", "status": "paused", "wait": None}


def test_a_place_is_true_when_as_many_of_those_that_waited_began_before(clock: SimpleNamespace) -> None:
    measured = Measured()
    server = Server("http://127.0.0.1:1")
    ann, bob, eve = (Person(server, "CODE", name, measured, 0.0) for name in ("Ann", "Bob", "Eve"))
    events = [
        (0.0, ann, "a", RUNNING),  # it never waited
        (1.0, bob, "b", waiting(1, 4)),
        (2.0, eve, "e", waiting(2, 9)),
        (3.0, eve, "e", waiting(1, 8)),  # what is told first counts
        (4.0, ann, "c", waiting(1, 1)),  # one that came later and was let in
        (4.5, ann, "c", RUNNING),
        (5.0, bob, "b", RUNNING),
        (6.0, bob, "b", PAUSED),
        (6.5, bob, "b", waiting(1, 1)),  # it gave its place up: no new run
        (7.0, bob, "b", RUNNING),
        (8.0, eve, "e", RUNNING),
    ]
    ann.entered, bob.entered, eve.entered = 3.5, 0.5, 1.5
    for clock.now, person, run, message in events:
        person._told(message, run, Received(0.0))
    assert measured.queued == [
        Wait(3.5, 4.0, 4.5, 1, 1.0), Wait(0.5, 1.0, 5.0, 1, 4.0), Wait(1.5, 2.0, 8.0, 2, 9.0),
    ]  # fmt: skip
    assert [room.stood(wait, measured.queued) for wait in measured.queued] == [1, 1, 2]


def test_who_waits_and_has_not_been_told_yet_stands_before_another() -> None:
    """Its socket opened later than that of the one behind it."""
    first, second = Wait(1.0, 3.0, 4.0, 1, 1.0), Wait(1.5, 2.0, 5.0, 2, 3.0)
    assert room.stood(second, [first, second]) == 2


def test_shares_of_what_was_told_truly() -> None:
    assert room.places_true([]) is None and room.waits_true([]) is None
    assert room.places_true([(1, 2), (1, 3), (10, 12), (10, 13), (30, 25)]) == pytest.approx(3 / 5)
    waits = [
        Wait(0, 0, waited, 1, said) for said, waited in ((8, 10), (8, 10.6), (60, 62), (60, 80), (180, 196))
    ]
    assert room.waits_true(waits) == pytest.approx(3 / 5)


def everything(start: float, seconds: Callable[[float], float]) -> list[Turn]:
    """Somebody's runs, one after the other from ``start`` on; ``seconds``: a step takes at a time."""
    turns = []
    for model in NETWORKS:
        for steps in STEPS:
            turns.append(Turn(model, steps, start, steps * seconds(start)))
            start += turns[-1].seconds
    return turns


def test_who_came_in_a_rush_is_not_served_worse_than_who_came_later() -> None:
    people = [everything(start, lambda now: 1.0 if now < 70 else 0.1) for start in (0, 1, 200, 201)]
    worse, alike = room.fairness([*people]), room.fairness_at_once(people)
    assert worse is not None and worse > 5 and alike == pytest.approx(1, abs=0.01)


def test_who_is_served_worse_than_others_at_the_same_time_shows() -> None:
    people = [everything(0, lambda _, n=n: 0.2 if n < 2 else 0.1) for n in range(8)]  # type: ignore[misc]
    assert room.fairness_at_once(people) == pytest.approx(2, abs=0.01)
    assert room.fairness_at_once(people[:3]) is None
    assert room.fairness_at_once([turns[:5] for turns in people]) is None, "nobody ran everything"


def test_the_file_has_the_runs_that_fairness_is_of(clock: SimpleNamespace) -> None:
    person = Person(Server("http://127.0.0.1:1"), "CODE", "Ann", Measured(), 5.0)
    for clock.now, steps, model in ((9.0, 11, "lenet"), (20.5, 31, "photos")):
        person.record.steps += steps
        person.note_steps(person.record.steps - steps, model, clock.now - 2.25)
    assert person.turns_told() == [("lenet", 11, 1.75, 2.25), ("photos", 31, 13.25, 2.25)]
    assert person.measured.steps == {4: 11, 15: 31}
