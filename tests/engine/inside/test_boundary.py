"""Distances to the boundary of a half-space, and lines through it, are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.inside.boundary import (
    Along,
    Distance,
    Distances,
    Lines,
    Straightness,
    loss_gradient,
    straightness,
)
from engine.run import Floats
from errors import BadSetting
from models.core import Classifier
from tests.engine.inside.linear import random_half_space


def directions_of(seed: int, count: int, start: Floats) -> Floats:
    """Return the directions that are searched, drawn as `Distances` says: normal, and their opposites."""
    normal = torch.randn((count // 2, *start.shape), generator=torch.Generator().manual_seed(seed))
    unit = normal / normal.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    directions: Floats = torch.stack([unit, -unit], 1).flatten(0, 1).numpy()
    return directions


def test_distances_are_those_of_a_half_space() -> None:
    network, start, normal = random_half_space(size=32, away=0.01)
    answers = list(Distances(start, 0.02 * normal, seed=3, count=16).pieces(network))
    lengths = {answer.direction: answer for answer in answers if isinstance(answer, Distance)}
    assert sorted(lengths) == list(range(-1, 16))
    assert lengths[-1].length == pytest.approx(0.01, rel=0.02) and lengths[-1].label == 1
    crossed = 0
    for number, direction in enumerate(directions_of(3, 16, start)):
        slope, length = float((direction * normal).sum()), lengths[number].length
        expected = 0.01 / abs(slope)
        if slope < 0:
            assert length is None and lengths[number].label is None
        elif expected < 5:  # farther out, noise leaves [0, 1] and is clipped
            assert length == pytest.approx(expected, rel=0.02)
            crossed += 1
    assert crossed >= 4


def test_a_class_that_never_changes_has_no_boundary() -> None:
    network, start, normal = random_half_space(away=1e6)
    answers = [a for a in Distances(start, normal, count=4).pieces(network) if isinstance(a, Distance)]
    assert [answer.length for answer in answers] == [None] * 5


def test_a_linear_network_is_straight_along_both_lines() -> None:
    network, start, normal = random_half_space(away=0.5)
    answers = list(Lines(start, normal).pieces(network))
    straight = {answer.line: answer for answer in answers if isinstance(answer, Straightness)}
    assert {line: answer.margin for line, answer in straight.items()} == pytest.approx(
        {"adversarial": 1.0, "sign": 1.0}, abs=1e-6
    )
    assert all(answer.loss < 0.999 and (answer.own, answer.other) == (0, 1) for answer in straight.values())
    along = [answer for answer in answers if isinstance(answer, Along) and answer.line == "adversarial"]
    at = np.array([place for answer in along for place in answer.at])
    margins = np.array([margin for answer in along for margin in answer.margins])
    assert np.allclose(margins, at - 0.5, atol=1e-4) and at[0] == -1 and at[-1] == 2


def test_a_network_that_bends_is_not_straight() -> None:
    network, start, normal = random_half_space(away=0.5)
    bent = Classifier(network.card, torch.nn.Sequential(network, Wave()))
    straight = [a for a in Lines(start, normal).pieces(bent) if isinstance(a, Straightness)]
    assert all(answer.margin < 0.9 for answer in straight)


class Wave(torch.nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.stack([logits[:, 0], torch.sin(5 * logits[:, 1]) - 0.5], 1)


def test_the_gradient_of_the_loss_is_along_the_normal() -> None:
    network, start, normal = random_half_space(away=0.5)
    gradient = loss_gradient(network, torch.from_numpy(start), 0).numpy()
    assert (gradient * normal).sum() / np.linalg.norm(gradient) == pytest.approx(1, abs=1e-5)


def test_straightness_is_the_squared_correlation() -> None:
    x = np.linspace(0, 1, 30)
    y = x**3
    assert straightness(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert straightness(x, np.ones(30)) == 1


def test_what_cannot_be_searched_is_refused() -> None:
    _, start, normal = random_half_space()
    with pytest.raises(BadSetting, match="even number of directions from 2 to 400, got 7"):
        Distances(start, normal, count=7)
    with pytest.raises(BadSetting, match="has not changed yet"):
        Distances(start, 0 * normal)
