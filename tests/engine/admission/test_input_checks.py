"""What networks take: the size that works, channels, squares, precision, parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from engine.admission import cost
from errors import BadNetwork
from models.added.record import Facts
from tests.support.odd_networks import SIDE, STATED, body, examined, number, results, verdict

UNSTATED = replace(STATED, height=None)


def fixed(side: int) -> nn.Sequential:
    """Return a network for images of ``side`` pixels alone."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Tanh(), nn.Flatten(), nn.Linear(4 * (side // 8) ** 2, 3))


def test_the_size_that_works_is_sought_where_nobody_states_one():
    examination = examined(fixed(96), UNSTATED)
    assert (examination.takes.height, examination.takes.width) == (96, 96)
    assert "fails at 224 pixels and takes 96" in str(results(examination, "input")[0])


def test_a_size_that_fits_is_assumed_and_said():
    examination = examined(fixed(224), UNSTATED)
    assert examination.takes.height == 224 and "224 pixels are assumed" in str(
        results(examination, "input")[0]
    )
    assert results(examined(fixed(SIDE)), "input") == []


def test_a_stated_size_is_never_changed():
    with pytest.raises(BadNetwork, match=r"32 x 32 pixels, as stated.*add it with --input 96"):
        examined(fixed(96))
    with pytest.raises(BadNetwork, match=r"fails for images of 32 x 32 pixels and 3 channels"):
        examined(fixed(40))
    with pytest.raises(BadNetwork, match="every common size"):
        examined(fixed(40), UNSTATED)


def test_grey_networks_are_known_by_their_first_layer():
    examination = examined(body(channels=1), Facts())
    assert (examination.takes.channels, examination.takes.size) == (1, 28)
    assert any("photos are shown to it in grey" in str(result) for result in results(examination, "input"))
    with pytest.raises(BadNetwork, match="1 or 3 channels, got one for 4"):
        examined(body(channels=4), Facts())


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (replace(STATED, std=(0.0, 1.0, 1.0)), "std above 0"),
        (replace(STATED, mean=(0.5,), channels=3), "3 finite numbers"),
        (replace(STATED, mean=(float("nan"),) * 3), "3 finite numbers"),
        (replace(STATED, height=99_999), "at most 4096"),
    ],
)
def test_facts_that_cannot_be_are_refused(facts, words):
    with pytest.raises(BadNetwork, match=words):
        examined(body(), facts)


def test_an_oblong_input_is_squeezed_and_said():
    examination = examined(body(), replace(STATED, height=24, width=40))
    assert "40 x 24 pixels: square images are squeezed" in str(results(examination, "input")[0])
    assert examination.takes.size == 40


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_made_float32(kind):
    network = body().to(kind)
    examination = examined(network)
    assert str(kind).removeprefix("torch.") in str(results(examination, "precision")[0])
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert results(examined(body()), "precision") == []


def test_too_many_parameters_are_refused(monkeypatch):
    count = sum(parameter.numel() for parameter in body().parameters())
    monkeypatch.setattr(cost, "MOST_PARAMETERS", count)
    examined(body())
    monkeypatch.setattr(cost, "MOST_PARAMETERS", count - 1)
    with pytest.raises(BadNetwork, match=f"at most .* got one of {count:,}"):
        examined(body())


def test_a_step_costs_more_in_a_larger_network():
    assert verdict(examined(body()), "cost") == "fine"
    costs = [results(examined(body(), replace(STATED, height=side)), "cost")[0] for side in (128, 256)]
    assert 0 < number(costs[0], "megabytes") < number(costs[1], "megabytes")
    assert number(costs[0], "seconds") >= 0


def test_a_slow_step_is_noted(monkeypatch):
    monkeypatch.setattr(cost, "SLOW", 0.0)
    assert verdict(examined(body()), "cost") == "note"
