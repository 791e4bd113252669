"""What a network says after each corruption, and of whom else an image fools: asked for real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

import models
from attacks.contract import Stop
from engine.device import CPU_BATCH
from engine.engine import Engine
from engine.recipe import Recipe
from engine.robustness import answers, transfer
from engine.robustness.corruptions import CORRUPTIONS
from engine.run import Run
from errors import BadSetting, FoolscopeError, MissingWeights, UnknownName
from models.core import Card
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 3, "epsilon": 16 / 255}, target=5, stop=Stop("steps"))
Running = tuple[Engine, Run, small_model.Gate]


@pytest.fixture
def running() -> Iterator[Running]:
    gate = small_model.Gate()
    with small_model.engine(gate) as engine:
        run = engine.submit(RECIPE)
        list(engine.follow(run))
        yield engine, run, gate


def test_every_image_is_asked_about_once_and_answered_as_if_alone(running: Running) -> None:
    engine, run, gate = running
    gate.batches.clear()
    rows = answers.corrupted_answers(engine, run)
    assert sum(gate.batches) == 39 and len(gate.batches) <= -(-39 // CPU_BATCH)
    assert [row.corruption and row.corruption.name for row in rows] == [None, *CORRUPTIONS]
    clean, attacked = torch.from_numpy(run.start), torch.from_numpy(run.picture(3))
    for row in rows:
        for x, said in (
            (attacked, row.attacked),
            (clean, row.clean),
            (answers.noise(clean, attacked), row.noise),
        ):
            form = row.corruption.of(x[None]) if row.corruption else x[None]
            top = engine.logits("small", form)[0].softmax(0).max(0)
            assert said.label == run.labels[int(top.indices)]
            assert said.probability == pytest.approx(float(top.values), abs=1e-4)


def test_noise_has_the_same_sizes_stays_in_the_box_and_is_the_same_again() -> None:
    rng = torch.Generator().manual_seed(3)
    clean = (torch.rand(3, 16, 16, generator=rng) * 1.2 - 0.1).clamp(0, 1)
    attacked = (clean + (torch.rand(3, 16, 16, generator=rng) - 0.5) / 8).clamp(0, 1)
    drawn = answers.noise(clean, attacked)
    assert torch.allclose((drawn - clean).abs(), (attacked - clean).abs(), atol=1e-6)
    assert drawn.min() >= 0 and drawn.max() <= 1
    other = (drawn - attacked).abs() > 1e-6
    assert 0.3 < other.float().mean() < 0.6  # about half of the signs, but for values at an edge
    assert torch.equal(drawn, answers.noise(clean, attacked))
    assert not torch.equal(drawn, answers.noise(clean, attacked, seed=1))


def test_grey_images_are_not_asked_about_without_colours() -> None:
    assert "grey" not in [each.name for each in answers.corruptions_for(1)]
    assert len(answers.corruptions_for(3)) == 12


def test_the_recipe_of_a_survivor_keeps_picture_goal_and_network() -> None:
    made = answers.survivor(RECIPE, ("blur", "jpeg75"), 8 / 255)
    assert (made.model, made.image, made.target, made.seed) == ("small", "cat", 5, 0)
    assert made.survives == ("jpeg75", "blur") and made.build().bound() == ("linf", 8 / 255)
    assert made.stop == Stop("steps")
    for names, epsilon, error in (
        ((), 0.1, BadSetting),
        (("blur",), 2.0, BadSetting),
        (("x",), 0.1, UnknownName),
    ):
        with pytest.raises(error):
            answers.survivor(RECIPE, names, epsilon)


def test_each_network_that_is_here_is_asked_and_one_that_fails_says_why(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, run, _ = running
    monkeypatch.setattr(transfer, "here", lambda card: ["small", "smaller", "broken"])
    known = models.card

    def card(name: str) -> Card:
        if name == "broken":
            raise MissingWeights("Its weights are not here.")
        return known(name)

    monkeypatch.setattr(models, "card", card)
    first, second, third = transfer.transfers(engine, run)
    assert isinstance(first, transfer.Transfer) and isinstance(second, transfer.Transfer)
    assert (first.attacked, second.attacked) == (True, False)
    assert first.before.label == run.labels[run.original] and first.after.label == run.top(3)[0].label
    assert first.fooled == (first.before.label != first.after.label)
    assert (second.before.label, second.after.label) == (
        first.before.label,
        first.after.label,
    )  # same weights
    assert isinstance(third, FoolscopeError)


def test_only_networks_of_the_same_kind_are_here() -> None:
    names = transfer.here(models.card("efficientnet_lite2+efficientnet_lite0"))
    assert names[0] == "efficientnet_lite2+efficientnet_lite0" and "lenet" not in names
    assert {"efficientnet_lite0", "efficientnet_lite2"} < set(names)
    assert not {"efficientnet_lite0", "efficientnet_lite2"} & set(transfer.others(names[0]))
