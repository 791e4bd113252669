"""Who takes part in the next batch: pure bookkeeping, checked without torch or threads."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.scheduler import PATIENCE, RowBudget, Scheduler


def test_runs_on_one_model_go_together_and_models_take_turns():
    scheduler = Scheduler()
    for run, model in [("a", "M"), ("b", "N"), ("c", "M")]:
        scheduler.add(run, model)
    assert [sorted(scheduler.tick()) for _ in range(4)] == [["a", "c"], ["b"], ["a", "c"], ["b"]]


def test_nobody_goes_twice_before_everybody_has_gone_once():
    scheduler = Scheduler(budget=3)
    for index in range(8):
        scheduler.add(f"r{index}", "M")
    turns = Counter(run for _ in range(8) for run in scheduler.tick())
    assert max(turns.values()) - min(turns.values()) <= 1
    assert sum(turns.values()) == 24


def test_a_large_run_goes_alone_rather_than_never():
    scheduler = Scheduler(budget=4)
    scheduler.add("large", "M", rows=10)
    scheduler.add("small", "M")
    assert [scheduler.tick(), scheduler.tick()] == [["large"], ["small"]]


def test_halving_never_reaches_zero():
    budget = RowBudget(4)
    assert [budget.halve(4) for _ in range(4)] == [2, 1, 1, 1]
    assert RowBudget(32).halve(6) == 3  # what failed was smaller than the budget


def succeed(budget, times):
    for _ in range(times):
        budget.succeed()
    return budget.rows


def test_a_halved_budget_grows_back_and_tries_less_often_where_that_failed():
    budget = RowBudget(8)
    budget.halve(8), budget.halve(4)
    assert succeed(budget, PATIENCE - 1) == 2 and succeed(budget, 1) == 4 and succeed(budget, PATIENCE) == 8
    budget.halve(8)
    assert succeed(budget, PATIENCE) == 4 and succeed(budget, PATIENCE) == 8
    assert succeed(budget, 10 * PATIENCE) == 8


def test_models_have_budgets_of_their_own():
    scheduler = Scheduler(budget=4)
    for run, model in [("a", "M"), ("b", "M"), ("c", "M"), ("d", "N"), ("e", "N"), ("f", "N")]:
        scheduler.add(run, model)
    assert scheduler.budget("M").halve(4) == 2
    assert [scheduler.tick(), scheduler.tick()] == [["a", "b"], ["d", "e", "f"]]


def test_a_query_counts_with_its_true_rows():
    scheduler = Scheduler(budget=4)
    for run in "abc":
        scheduler.add(run, "M")
    scheduler.resize("b", 96)
    scheduler.resize("gone", 5)
    assert [scheduler.tick() for _ in range(3)] == [["a"], ["b"], ["c", "a"]] and len(scheduler) == 3


def test_removed_runs_do_not_come_back_and_removing_twice_is_harmless():
    scheduler = Scheduler()
    scheduler.add("a", "M")
    scheduler.remove("a")
    scheduler.remove("a")
    assert scheduler.tick() == [] and len(scheduler) == 0 and "a" not in scheduler


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(1, 5)), min_size=1),
    st.integers(1, 8),
)
def test_every_tick_is_one_model_within_budget_without_repeats(entries, budget):
    scheduler = Scheduler(budget)
    home: dict[str, str] = {}
    size: dict[str, int] = {}
    for run, model, rows in entries:
        scheduler.add(f"r{run}", f"m{model}", rows)
        home.setdefault(f"r{run}", f"m{model}")
        size.setdefault(f"r{run}", rows)
    seen = set()
    for _ in range(3 * len(size) * len(size)):
        batch = scheduler.tick()
        assert batch and len(set(batch)) == len(batch) and len({home[run] for run in batch}) == 1
        assert len(batch) == 1 or sum(size[run] for run in batch) <= budget
        seen |= set(batch)
    assert seen == set(size)
