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


def serve(scheduler: Scheduler, seconds: dict[str, float], home: dict[str, str], ticks: int) -> Counter[str]:
    """Return the device's seconds that each model got in so many ticks."""
    used: Counter[str] = Counter()
    for _ in range(ticks):
        batch = scheduler.tick()
        model = home[batch[0]]
        scheduler.spent(model, seconds[model])
        used[model] += seconds[model]  # type: ignore[assignment]
    return used


@given(st.floats(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_a_slow_model_leaves_the_fast_one_half_of_the_time(slower, slow_runs, fast_runs):
    scheduler = Scheduler()
    home = {f"s{i}": "slow" for i in range(slow_runs)} | {f"f{i}": "fast" for i in range(fast_runs)}
    for run, model in home.items():
        scheduler.add(run, model)
    used = serve(scheduler, {"slow": slower, "fast": 1.0}, home, 500)
    assert abs(used["slow"] - used["fast"]) <= slower


def test_twenty_times_slower_is_half_of_the_time_and_twenty_batches_to_one():
    scheduler, home = Scheduler(), {"a": "slow", "b": "fast"}
    for run, model in home.items():
        scheduler.add(run, model)
    used = serve(scheduler, {"slow": 20.0, "fast": 1.0}, home, 210)
    assert used == {"slow": 200.0, "fast": 200.0}


def test_who_was_away_is_owed_nothing_and_who_comes_back_keeps_what_it_used():
    scheduler, home, seconds = Scheduler(), {"a": "A", "b": "B"}, {"A": 1.0, "B": 1.0}
    scheduler.add("a", "A")
    serve(scheduler, seconds, home, 100)
    scheduler.add("b", "B")  # a newcomer does not get a hundred batches first
    assert serve(scheduler, seconds, home, 10) == {"A": 5, "B": 5}
    scheduler.remove("b")
    serve(scheduler, seconds, home, 100)
    scheduler.add("b", "B")
    assert serve(scheduler, seconds, home, 10) == {"A": 5, "B": 5}


def test_one_query_after_the_other_does_not_get_more_than_who_waits_all_the_time():
    """As callers do who ask, wait for the answer, and ask again: each time their model leaves and comes."""
    scheduler, used = Scheduler(), Counter[str]()
    scheduler.add("run", "fast")
    for index in range(400):
        if "query" not in scheduler:
            scheduler.add("query", "slow")
        (batch,) = scheduler.tick()
        model, seconds = ("slow", 20.0) if batch == "query" else ("fast", 1.0)
        scheduler.remove("query") if batch == "query" else None
        scheduler.spent(model, seconds)
        used[model] += seconds  # type: ignore[assignment]
        assert index < 30 or used["slow"] <= used["fast"] + 20


def test_an_idle_device_forgets_who_had_more():
    scheduler, home = Scheduler(), {"a": "A", "b": "B"}
    scheduler.add("a", "A")
    serve(scheduler, {"A": 1.0}, home, 100)
    scheduler.remove("a")
    scheduler.add("b", "B")
    scheduler.add("a", "A")
    assert serve(scheduler, {"A": 1.0, "B": 1.0}, home, 10) == {"A": 5, "B": 5}


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.floats(0.001, 50)),
        min_size=1,
        max_size=4,
        unique_by=lambda v: v[0],
    ),
    st.integers(1, 5),
    st.integers(1, 6),
)
def test_nobody_starves(models, runs, budget):
    """Whoever waits is served before the others have used twice their share of its model's round."""
    seconds = dict(models)
    scheduler, home = Scheduler(budget), {f"{m}{i}": m for m in seconds for i in range(runs)}
    for run, model in home.items():
        scheduler.add(run, model)
    waited, longest = Counter[str](), max(seconds.values())
    for _ in range(300):
        batch = scheduler.tick()
        model = home[batch[0]]
        scheduler.spent(model, seconds[model])
        for run in home:
            waited[run] = 0 if run in batch else waited[run] + seconds[model]
        rounds = -(-runs // budget)
        assert max(waited.values()) <= (rounds + 1) * len(seconds) * 2 * longest
