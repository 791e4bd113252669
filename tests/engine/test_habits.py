"""What people do next: how soon they come back, and what they run then."""

from __future__ import annotations

import random

import pytest

from engine.habits import FORGOTTEN, NEW, Habits


def lively(pause: float, start: float = 70_000.0) -> Habits[str]:
    """Return what is known after ten minutes of people who pause for so long, drawn exponentially."""
    dice, habits = random.Random(1), Habits[str]()
    due = [(start + dice.uniform(0, pause), str(person)) for person in range(40)]
    second = start
    while second < start + 600 and due:
        for at, person in [pair for pair in due if pair[0] <= second]:
            due.remove((at, person))
            habits.came(person, f"after {person}", second)
            habits.ended(person, "digits", second)
            due.append((second + dice.expovariate(1 / pause), person))
        habits.look(second)
        second += 1.0
    return habits


@pytest.mark.parametrize("pause", [5.0, 40.0])
def test_people_are_expected_back_as_soon_as_they_come(pause):
    guess = lively(pause).guess(70_600.0)
    pauses = [seconds for seconds, _ in guess.expected()]
    assert len(pauses) >= 40 and sum(pauses) / len(pauses) == pytest.approx(pause, rel=0.35)


def test_who_never_comes_back_is_expected_less_and_less_and_at_last_not_at_all():
    habits = Habits[str]()
    habits.came("first", "a", 0.0)
    habits.ended("first", "digits", 1.0)
    assert list(habits.guess(1.0).again("digits")) == [], "nobody ever came back from there"
    habits.came("first", "b", 2.0)
    habits.ended("first", "digits", 3.0)
    pauses = []
    for now in (4.0, 30.0, 60.0):
        habits.look(now)
        pauses += [seconds for seconds, _ in habits.guess(now).again("digits")]
    assert pauses == sorted(pauses) and len(pauses) == 3
    habits.look(4000.0)
    assert list(habits.guess(4000.0).expected()) == []
    assert 3.0 + FORGOTTEN < 4000.0


def test_what_is_asked_for_goes_by_what_was_run_before():
    habits = Habits[str]()
    for number in range(20):
        for model in ("digits", "photos"):
            habits.ended(f"{model} {number}", model, number)
            habits.came(f"{model} {number}", f"{model} again", number + 0.5)
    habits.look(20.0)
    guess = habits.guess(20.0)
    assert {asked for _ in range(9) for _, asked in guess.again("photos")} == {"photos again"}


def test_newcomers_are_expected_like_those_just_before():
    habits = Habits[str]()
    for number in range(4):
        habits.came(str(number), "first run", float(number))
    assert [seconds for seconds, _ in habits.guess(4.0).expected()] == [4.0, 3.0, 2.0, 1.0]
    assert list(habits.guess(4.0 + NEW).expected()) == []
