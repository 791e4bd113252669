"""What a run is told to be worth knowing: each finding where its cause is, and nowhere else."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import attacks
from attacks.contract import Stop
from engine import checks
from engine.recipe import Recipe
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 8, "epsilon": 8 / 255}, stop=Stop("steps"))


@pytest.fixture
def gate():
    return small_model.Gate()


@pytest.fixture
def engine(gate):
    with small_model.engine(gate) as made:
        yield made


def followed(engine, recipe):
    run = engine.submit(recipe)
    list(engine.follow(run))
    assert run.status == "finished", run.sentence()
    return run


def white() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "white").save(file, "PNG")
    return file.getvalue()


def names(run):
    return [found.name for found in checks.findings(run)]


def test_an_ordinary_success_has_nothing_to_tell(engine):
    run = followed(engine, replace(RECIPE, params={"steps": 60, "epsilon": 30 / 255}))
    assert run.succeeded(len(run) - 1) and names(run) == []


def test_a_budget_that_anybody_sees_is_told(engine):
    assert "large budget" in names(followed(engine, replace(RECIPE, params={"epsilon": 0.2, "steps": 2})))
    run = followed(engine, replace(RECIPE, params={"epsilon": 0.6, "steps": 2}))
    (found,) = [each for each in checks.findings(run) if each.name == "large budget"]
    assert "153/255" in found.seen and "grey" in found.means


def test_a_run_that_fools_nobody_is_no_proof(engine):
    run = followed(engine, replace(RECIPE, params={"steps": 1, "epsilon": 0.1 / 255}))
    assert names(run) == ["not fooled"]
    assert "After 1 steps" in checks.findings(run)[0].seen


def test_a_dead_end_is_told_with_its_cause_and_no_more_steps_are_advised(engine):
    token = engine.uploads.add(white())
    run = followed(engine, replace(RECIPE, image=token, attack="jsma", params={}))
    assert run.reason == "dead end" and len(run) == 2
    assert run.sentence() == "Ended at step 1: no value can rise any further; the network was not fooled."
    (found,) = checks.findings(run)
    assert found.name == "dead end" and found.seen == "At step 1 the attack had nothing left to change."
    assert "only raises values" in found.means and "negative change (theta)" in found.means
    darker = followed(engine, replace(run.recipe, params={"theta": -1.0, "gamma": 1.0}))
    assert darker.succeeded(len(darker) - 1) and names(darker) == []


def test_a_dead_end_at_the_last_declared_step_is_one(engine):
    run = followed(
        engine, replace(RECIPE, image=engine.uploads.add(white()), attack="jsma", params={"steps": 1})
    )
    assert run.reason == "dead end" and names(run) == ["dead end"]


def test_a_picture_that_no_step_moved_is_told_instead_of_more_steps(engine):
    run = followed(engine, replace(RECIPE, params={"steps": 4, "epsilon": 0.0}))
    (found,) = checks.findings(run)
    assert found.name == "unchanged picture" and "In 4 steps" in found.seen and "budget" in found.means


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
