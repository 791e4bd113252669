"""What a run is told to be worth knowing: each finding where its cause is, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import attacks
from attacks.core import Stop
from engine import checks
from engine.recipe import Recipe
from tests import small

RECIPE = Recipe("small", "cat", "bim", {"steps": 8, "epsilon": 8 / 255}, stop=Stop("steps"))


@pytest.fixture
def gate():
    return small.Gate()


@pytest.fixture
def engine(gate):
    with small.engine(gate) as made:
        yield made


def followed(engine, recipe):
    run = engine.submit(recipe)
    list(engine.stream(run))
    assert run.status == "finished", run.sentence()
    return run


def names(run):
    return [found.name for found in checks.findings(run)]


def test_an_ordinary_success_has_nothing_to_tell(engine):
    run = followed(engine, replace(RECIPE, params={"steps": 60, "epsilon": 30 / 255}))
    assert run.met(len(run) - 1) and names(run) == []


def test_a_budget_that_anybody_sees_is_told(engine):
    assert "large budget" in names(followed(engine, replace(RECIPE, params={"epsilon": 0.2, "steps": 2})))
    run = followed(engine, replace(RECIPE, params={"epsilon": 0.6, "steps": 2}))
    (found,) = [each for each in checks.findings(run) if each.name == "large budget"]
    assert "153/255" in found.seen and "grey" in found.means


def test_a_run_that_fools_nobody_is_no_proof(engine):
    run = followed(engine, replace(RECIPE, params={"steps": 1, "epsilon": 0.1 / 255}))
    assert names(run) == ["not fooled"]
    assert "After 1 steps" in checks.findings(run)[0].seen


def test_a_vanished_gradient_is_counted(engine, gate, monkeypatch):
    model = engine.model("small")
    forward = model.network.forward
    monkeypatch.setattr(
        model.network, "forward", lambda x: forward(x).detach() + 0 * x.flatten(1).sum(1)[:, None]
    )
    run = followed(engine, RECIPE)
    (found,) = [each for each in checks.findings(run) if each.name == "zero gradient"]
    assert "8 of 8 steps" in found.seen and "first at step 0" in found.seen


def test_a_network_that_is_all_but_certain_is_told(engine, monkeypatch):
    model = engine.model("small")
    forward = model.network.forward
    monkeypatch.setattr(model.network, "forward", lambda x: 400 * forward(x))
    assert "saturated softmax" in names(followed(engine, RECIPE))


def test_a_network_that_throws_dice_is_told(engine, monkeypatch):
    model = engine.model("small")
    forward, dice = model.network.forward, torch.Generator().manual_seed(0)

    def noisy(x):
        logits = forward(x)
        return logits + torch.randn(logits.shape, generator=dice)

    monkeypatch.setattr(model.network, "forward", noisy)
    run = followed(engine, RECIPE)
    assert run.answers_again is not None and np.exp(run.answers_again).sum() == pytest.approx(1, abs=1e-4)
    assert names(run)[0] == "randomised network"


def test_more_knowledge_must_not_do_worse(engine, monkeypatch):
    weak = followed(engine, replace(RECIPE, params={"steps": 1, "epsilon": 0.1 / 255}))
    strong = followed(engine, replace(RECIPE, params={"steps": 60, "epsilon": 30 / 255}))
    assert checks.compare([weak, strong]) == []
    blind = type("Blind", (), {"card": replace(attacks.get("pgd").card, access="score-based")})
    monkeypatch.setattr(attacks, "get", lambda name: blind if name == "blind" else PGD)
    strong.recipe = replace(strong.recipe, attack="blind")
    (found,) = checks.compare([weak, strong])
    assert found.name == "gradient masking"


PGD = attacks.get("pgd")
