"""Runs to be shown to others: a short one of the tiny network, one that ships, one of 10,000 steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import models
from attacks.contract import Stop
from engine import saved
from engine.engine import Engine
from engine.jobs import criterion_of, observed
from engine.recipe import Recipe
from engine.run import Run
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 10, "step_size": 2 / 255}, stop=Stop("steps"))


@pytest.fixture(scope="module")
def tiny() -> Iterator[Engine]:
    with small_model.engine(small_model.Gate()) as made:
        yield made


@pytest.fixture(scope="module")
def short(tiny: Engine) -> Run:
    run = tiny.submit(RECIPE)
    assert list(tiny.follow(run)) == list(range(11))
    return run


@pytest.fixture(scope="module")
def panda() -> Run:
    return saved.read("hundred")


@pytest.fixture(scope="session")
def long() -> Run:
    """10,000 steps of 1,000 classes, each recorded as the engine does."""
    card = models.card("efficientnet_lite0")
    panda, vulture = map(card.label_index, ("giant panda", "vulture"))
    start = torch.full((3, 32, 32), 0.5)
    recipe = Recipe(card.name, "panda", "bim", {"steps": 10_000}, vulture, stop=Stop("steps"))
    run = Run(recipe, card.labels, start.numpy(), panda, 10_000)
    run.set_status("running")
    logits, change = torch.zeros(1000), torch.linspace(-1, 1, 3072).view(3, 32, 32)
    for step in range(10_001):
        logits[panda], logits[vulture] = 10 - step / 1000, step / 1000
        run.append(observed(run, criterion_of(run), logits, start + step / 1e6 * change, 1.0, 1, 1))
    run.set_status("finished", "steps")
    return run
