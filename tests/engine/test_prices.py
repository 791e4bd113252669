"""What a run costs before it begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.prices import GRADIENTS, QUICK, Costs, Price, Work, work_of
from engine.recipe import Recipe
from tests.engine.test_engine import eventually, finish
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255})


@pytest.fixture
def engine():
    with small_model.engine(small_model.Gate()) as made:
        yield made


def timed(*batches: tuple[int, bool, float]) -> Costs:
    costs = Costs(lambda model: 1e7)
    for rows, gradients, seconds in batches:
        costs.observe("M", rows, gradients, seconds)
    return costs


def test_the_first_batch_of_a_size_gives_way_to_the_next():
    costs = timed((1, True, 5.0))
    assert costs.seconds("M", 1, True) == 5.0 and not costs.measured("M", True)
    costs.observe("M", 1, True, 0.2)
    assert costs.seconds("M", 1, True) == pytest.approx(0.2) and costs.measured("M", True)
    costs.observe("M", 1, True, 0.4)
    assert costs.seconds("M", 1, True) == pytest.approx(0.2 + 0.2 / 2 / QUICK)
    costs.observe("M", 8, True, 60.0)  # a first batch of another size counts for nothing yet
    assert costs.seconds("M", 8, True) == pytest.approx((0.2 + 0.1 / QUICK) * 4.5)


def test_a_mean_follows_a_device_that_becomes_slower():
    costs = timed(*[(1, True, 0.1)] * 1000, *[(1, True, 0.2)] * 400)
    assert costs.seconds("M", 1, True) == pytest.approx(0.2, rel=0.02)


def test_quick_batches_count_more_than_those_that_others_slowed_down():
    disturbed = [(1, True, 0.1 if number % 2 else 0.3) for number in range(1000)]
    assert 0.12 < timed(*disturbed).seconds("M", 1, True) < 0.16
    assert timed(*disturbed, *[(1, True, 0.1)] * 60).seconds("M", 1, True) == pytest.approx(0.1, rel=0.05)


def test_the_line_between_two_sizes_goes_on_beyond_them():
    costs = timed(*[(2, True, 0.2)] * 2, *[(8, True, 0.5)] * 2)
    assert costs.seconds("M", 5, True) == pytest.approx(0.35)
    assert costs.seconds("M", 1, True) == pytest.approx(0.15)
    assert costs.seconds("M", 16, True) == pytest.approx(0.9)


def test_a_row_more_costs_no_more_than_the_first_and_never_nothing():
    costs = timed(*[(1, True, 0.1)] * 2, *[(2, True, 0.8)] * 2)
    assert costs.seconds("M", 4, True) == pytest.approx(1.6)
    costs = timed(*[(1, True, 0.1)] * 2, *[(2, True, 0.1)] * 2)
    assert costs.seconds("M", 10, True) == pytest.approx(0.1 + 8 * 0.05 / 4)


def test_where_one_size_was_timed_half_of_a_row_is_the_same_for_every_size():
    costs = timed(*[(1, True, 0.2)] * 2)
    assert costs.seconds("M", 3, True) == pytest.approx(0.4)
    assert costs.seconds("M", 0.5, True) == pytest.approx(0.15)


def test_what_was_never_timed_is_estimated_and_says_so():
    assert timed((1, False, 9.0), (1, False, 0.1)).seconds("M", 1, True) == pytest.approx(0.1 * GRADIENTS)
    price = timed().price(Work("M", 11))
    assert price == Price(price.seconds, 10, False)
    assert price.seconds == pytest.approx(11 * 1e7 / 1e10 * GRADIENTS)
    price = timed(*[(1, True, 0.3)] * 2).price(Work("M", 11))
    assert price == Price(price.seconds, 10, True) and price.seconds == pytest.approx(3.3)


def test_a_recipe_s_queries_and_their_rows_count():
    assert work_of(RECIPE) == Work("small", 13, 1.0, True)
    assert work_of(replace(RECIPE, survives=("jpeg75", "blur"))).rows == 3
    pixel = work_of(Recipe("small", "cat", "one_pixel", {"steps": 4, "population": 64}))
    assert pixel == Work("small", 10, (4 * 64 + 10) / 10, False)


@pytest.mark.parametrize("attack", ["one_pixel", "eot_pgd", "hop_skip_jump", "bim"])
def test_a_run_asks_about_as_many_images_as_it_pays_for(engine, attack):
    recipe = replace(RECIPE, attack=attack, params={"steps": 6}, survives=("blur",))
    work, run = work_of(recipe), engine.submit(recipe)
    finish(engine, run)
    asked = run.figures(len(run) - 1)["queries"]
    assert len(run) == work.queries and 0.5 * asked <= work.rows * work.queries
    assert asked <= work.rows * work.queries + 1e-6


@pytest.mark.parametrize(("attack", "target"), [("fab", None), ("fab", 1), ("deepfool", 1)])
def test_a_run_towards_a_target_and_one_that_often_only_looks_are_not_overpriced(engine, attack, target):
    """What the run asked for, at the price of each kind of query, against its price."""
    params = {"steps": 12, "candidates": 6}
    recipe = Recipe("small", "cat", attack, params, target=target)
    run = engine.submit(recipe)
    finish(engine, run)
    work, figures = work_of(recipe), run.scalars(0, len(run))[:, -3:-1]
    rows, gradients = (np.diff(figures[:, column], prepend=0) for column in (0, 1))
    costs = timed(*[(n, g, n * (3.0 if g else 1.0)) for n in (1, 5) for g in (True, False)] * 2)
    spent = sum(costs.seconds("M", row, bool(asked)) for row, asked in zip(rows, gradients, strict=True))
    assert len(run) <= work.queries
    steps = (len(run) - (work.queries - 12 - 1)) / 12 if attack == "deepfool" else 1
    price = costs.price(replace(work, model="M")).seconds
    assert price * min(steps, 1) == pytest.approx(spent, rel=0.25)


def test_the_loop_measures_and_the_price_is_what_a_run_takes(engine, monkeypatch):
    long = replace(RECIPE, params={"steps": 300})
    assert not engine.price(long).measured and engine.price(long).seconds > 0
    run = engine.submit(long)
    finish(engine, run)
    eventually(lambda: engine.price(long).measured)
    price = engine.price(long)
    assert price.steps == 300 and price.seconds < 10 * run.figures(300)["seconds"]
    assert engine.price(replace(RECIPE, params={"steps": 600})).seconds == pytest.approx(
        price.seconds * 601 / 301, rel=0.2
    )
