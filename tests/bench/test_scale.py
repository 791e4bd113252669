"""The simulation of many people against what can be worked out by hand."""

from __future__ import annotations

import random

import pytest

from bench.scale import ACTIVE, Cost, Habit, Replica, least, main

PLAIN = Cost("photos", 0.02, 0.01, "nowhere")


def test_a_cost_goes_through_what_was_measured() -> None:
    cost = Cost.through("photos", 0.037, 12, 0.192, "here")
    assert (cost.seconds(1), cost.seconds(12)) == pytest.approx((0.037, 0.192))
    assert cost.most == pytest.approx(32 / cost.seconds(32))


def test_who_is_alone_never_waits_and_has_every_batch() -> None:
    outcome = Replica(PLAIN, 1, Habit(think=5, steps=20), random.Random(1)).simulate(4_000)
    assert outcome.wait == 0 and outcome.rate == pytest.approx(1 / PLAIN.seconds(1))
    a_round = 5 + 20.5 * PLAIN.seconds(1)
    assert outcome.runs == pytest.approx(1 / a_round, rel=0.1)
    assert outcome.busy == pytest.approx(20.5 * PLAIN.seconds(1) / a_round, rel=0.15)


def test_a_crowd_gets_what_full_batches_give_and_waits_for_the_rest() -> None:
    outcome = Replica(PLAIN, 400, Habit(think=1, steps=20), random.Random(2)).simulate(2_000)
    capacity = ACTIVE / PLAIN.seconds(ACTIVE)
    assert outcome.busy > 0.999 and outcome.rate == pytest.approx(1 / PLAIN.seconds(ACTIVE))
    assert outcome.runs == pytest.approx(capacity / 20.5, rel=0.05)
    assert outcome.wait > 0.8 * (400 - ACTIVE) / outcome.runs and not outcome.enough


def test_the_number_of_replicas_is_the_least_that_is_enough() -> None:
    habit = Habit(think=10, steps=30)
    rows = [least(people, PLAIN, habit, minutes=3) for people in (60, 240)]
    assert rows[0].replicas < rows[1].replicas and all(row.outcome.enough for row in rows)
    share = -(-240 // (rows[1].replicas - 1))
    assert not Replica(PLAIN, share, habit, random.Random(f"0 {share}")).simulate(180).enough


def test_one_command_prints_the_table(capsys) -> None:
    assert main(["--people", "20", "40", "--minutes", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and all(line.count("|") == lines[0].count("|") for line in lines)
