"""Answers that change from one time to the next, with their neighbours, or with how the network is run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from engine.admission.examination import examine
from engine.admission.subject import Subject
from errors import BadNetwork
from models.added.adapting import adapted
from tests.support.odd_networks import SIDE, STATED, Then, body, examined, number, results, verdict


class Always(nn.Module):
    """Dropout that forgets that it is evaluated."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.3)


class Stubborn(nn.Dropout):
    """Dropout that stays in training mode."""

    def train(self, mode: bool = True) -> Stubborn:
        super().train(True)
        return self


class Viewed(nn.Sequential):
    """A network whose code cannot be traced, and that breaks in another memory layout."""

    def forward(self, x: Tensor) -> Tensor:
        y = self[0](x)
        assert len(y) > 0
        logits: Tensor = self[-1](self[1](y).view(len(y), -1))
        return logits


def test_a_steady_network_passes():
    examination = examined(body(norm=nn.BatchNorm2d(8), middle=nn.Dropout(0.5)))
    assert verdict(examination, "evaluation") == verdict(examination, "batch") == "fine"
    assert not examination.takes.one_at_a_time and not examination.takes.as_is
    assert results(examination, "layout") == []


def test_randomness_is_noted_with_the_module_that_it_comes_from():
    result = results(examined(body(middle=Always())), "evaluation")[0]
    assert result.verdict == "note" and "3 (Always)" in str(result) and number(result, "change") > 0.01


def test_modules_that_stay_in_training_mode_are_named():
    first, second = results(examined(body(middle=Stubborn(0.5))), "evaluation")
    assert "1 of its modules stay in training mode" in str(first) and "3." in str(first)
    assert "randomised" in str(second)


def test_answers_that_depend_on_the_batch_are_given_one_at_a_time():
    network = body(norm=nn.BatchNorm2d(8, track_running_stats=False))
    examination = examined(network)
    (note,) = results(examination, "batch")
    assert note.verdict == "note" and number(note, "change") > 0.01 and "; 1" in str(note)
    assert examination.takes.one_at_a_time
    x = torch.rand(3, 3, SIDE, SIDE)
    alone = adapted(network, examination.takes, examination.gives)
    assert torch.allclose(alone(x), torch.cat([network(image) for image in x.split(1)]))
    assert not torch.allclose(alone(x), network(x), atol=0.01)


def test_a_network_for_single_images_is_given_single_images():
    network = Then(body(), before=lambda x: x.reshape(1, 3, SIDE, SIDE))
    examination = examined(network)
    assert examination.takes.one_at_a_time
    assert "fails for several images at once" in str(results(examination, "batch")[0])
    assert adapted(network, examination.takes, examination.gives)(torch.rand(3, 3, SIDE, SIDE)).shape == (
        3,
        5,
    )


def test_what_breaks_in_another_layout_is_run_as_it_is():
    torch.manual_seed(0)
    head = nn.Linear(4 * 15 * 15, 3)
    network = Viewed(nn.Sequential(nn.Conv2d(3, 4, 4, 2), nn.BatchNorm2d(4)), nn.ReLU(), head).eval()
    x = torch.rand(2, 3, SIDE, SIDE)
    expected = network(x)
    examination = examined(network)
    assert examination.takes.as_is and verdict(examination, "layout") == "note"
    classifier = Subject(network, examination.takes, examination.gives, examination.labels).classifier()
    classifier.network = models.prepared(classifier.network)
    classifier.to(memory_format=torch.channels_last)
    normalised = (x.to(memory_format=torch.channels_last) - 0.5) / 0.25
    assert torch.allclose(classifier.network(x.to(memory_format=torch.channels_last)), expected, atol=1e-5)
    assert torch.allclose(
        classifier(x.to(memory_format=torch.channels_last)), network(normalised.contiguous()), atol=1e-5
    )


def test_a_network_that_breaks_on_some_images_is_refused_in_a_sentence():
    def bright(x: Tensor) -> Tensor:
        if x.abs().max() > 1.5:
            raise ValueError("too bright")
        return x

    with pytest.raises(BadNetwork, match=r"fails while it is checked \(too bright\)"):
        examined(Then(body(), before=bright))


@pytest.mark.parametrize("check", ["outputs", "evaluation", "batch", "gradient", "device", "cost", "labels"])
def test_every_check_says_something_and_is_announced(check):
    stages: list[str] = []
    examination = examine(body().eval(), STATED, lambda stage: stages.append(stage))
    assert all(str(result) for result in results(examination, check)) and results(examination, check)
    announced = {
        "parameters",
        "input",
        "outputs",
        "evaluation",
        "batch",
        "layout",
        "cost",
        "gradient",
        "device",
    }
    assert announced | {"normalisation"} == set(stages)
