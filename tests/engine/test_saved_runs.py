"""Runs that ship: their files say what a run said, and they are the runs that the pages describe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import models
import settings
from app import shipped_recipes
from engine import saved
from engine.engine import Engine
from errors import UnknownName


def test_every_run_that_ships_is_of_the_recipe_that_the_page_names() -> None:
    ready = shipped_recipes.recipes()
    assert saved.names() == sorted(ready)
    for name, recipe in ready.items():
        run = saved.read(name)
        assert run.recipe == recipe and run.over and run.id == saved.run_id(name)
    assert sum(path.stat().st_size for path in settings.RUNS.glob("*.npz")) < 2_000_000


def test_the_panda_that_ships_becomes_a_vulture_and_a_run_computed_now_agrees() -> None:
    engine = Engine()
    try:
        run = engine.run(saved.run_id("hundred"))
        last = len(run) - 1
        assert run.top(0, 1)[0].label == "giant panda" and run.top(last, 1)[0].label == "vulture"
        x, labels = run.picture(last), models.card(run.recipe.model).labels
        assert np.abs(x - run.start).max() <= float(run.recipe.params["epsilon"]) + 1e-3
        p = engine.logits(run.recipe.model, torch.from_numpy(x)[None]).softmax(1)[0]
        assert labels[int(p.argmax())] == "vulture"
        assert float(p.max()) == pytest.approx(run.top(last, 1)[0].probability, abs=0.05)
    finally:
        engine.close()


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    engine = Engine()
    try:
        recipe = shipped_recipes.pair("photos", "coffee", models.card("photos").label_index("elephant"))
        run = engine.submit(recipe)
        *_, _ = engine.follow(run)
        saved.write(run, tmp_path / "own.npz", pictures=2)
        again = saved.read("own", tmp_path)
        last = len(run) - 1
        assert len(again) == len(run) and again.sentence() == run.sentence() and again.classes == run.classes
        for step in (0, last // 2, last):
            assert again.top(step, 1)[0].index == run.top(step, 1)[0].index
            kept = run.classes
            assert np.exp(again.log_p(step, step + 1, kept)) == pytest.approx(
                np.exp(run.log_p(step, step + 1, kept)), abs=2e-3
            )
            assert again.figures(step)["linf"] == run.figures(step)["linf"]
        assert np.exp(again.log_p(0, len(run))).sum(1) == pytest.approx(1, abs=2e-3)
        assert np.abs(again.picture(last) - run.picture(last)).max() < 1e-3
    finally:
        engine.close()


def test_a_run_that_does_not_ship_is_refused_by_name(tmp_path: Path) -> None:
    engine = Engine()
    try:
        for name in ("hundredd", "../runs/hundred"):
            with pytest.raises(UnknownName):
                engine.run(saved.PREFIX + name)
    finally:
        engine.close()
