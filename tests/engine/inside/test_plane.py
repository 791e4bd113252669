"""A plane of a half-space is a half-plane, and what is filled in is what would have been answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.inside.asking import Asker
from engine.inside.plane import Asked, Axes, Finished, Grid, Plane, axes, grid_of
from engine.run import Floats
from errors import BadSetting
from models.core import Classifier
from tests.engine.inside.linear import normal_noise, random_half_space


def a_plane(start: Floats, normal: Floats, seed: int = 1) -> Axes:
    return axes(start, start + 2 * normal, start + normal_noise(start.shape, seed))


def carried_out(plane: Plane, network: Classifier) -> tuple[Grid, list[Asked], list[Finished]]:
    answers = list(plane.pieces(network))
    asked = [answer for answer in answers if isinstance(answer, Asked)]
    return grid_of(asked, plane.cells), asked, [answer for answer in answers if isinstance(answer, Finished)]


def test_the_axes_are_orthonormal_and_the_points_are_where_they_say() -> None:
    _, start, normal = random_half_space()
    plane = a_plane(start, normal)
    products = [
        float((a * b).sum()) for a, b in ((plane.right,) * 2, (plane.up,) * 2, (plane.right, plane.up))
    ]
    assert products == pytest.approx([1, 1, 0], abs=1e-5)
    assert plane.adversarial == pytest.approx((2, 0), abs=1e-5)
    third = plane.points(*(np.array([place]) for place in plane.third))[0]
    assert np.allclose(third, start + normal_noise(start.shape, 1), atol=1e-4)


def test_the_plane_of_a_half_space_is_a_half_plane_at_the_right_place() -> None:
    network, start, normal = random_half_space(away=1.0)
    grid, *_ = carried_out(Plane(a_plane(start, normal), (1.0, 0.0), 2.0, 64), network)
    right = np.linspace(-1, 3, 65)
    sure = np.abs(right - 1) > 0.05  # on the boundary itself either answer is right
    expected = np.broadcast_to(right > 1, (65, 65))
    assert (grid.labels[:, sure] == expected[:, sure]).all()


@pytest.mark.parametrize("turn", [0.0, 0.4, 1.1])
def test_what_is_filled_in_is_what_would_have_been_answered(turn: float) -> None:
    network, start, normal = random_half_space(away=0.3)
    other = normal_noise(normal.shape, 5)
    tilted = axes(start, start + normal + turn * other / np.linalg.norm(other), start + other)
    plane = Plane(tilted, (0.4, 0.1), 1.3, 64)
    grid, _, finished = carried_out(plane, network)
    whole = Grid.empty(64)
    from_all = Plane(tilted, (0.4, 0.1), 1.3, 64)
    at = np.arange(65 * 65)
    whole.take(from_all._ask(Asker(network), whole, at))
    assert (whole.labels == grid.labels).all() and set(np.unique(grid.labels)) == {0, 1}
    assert finished[-1].asked + finished[-1].filled == 65 * 65
    assert finished[-1].asked < 0.12 * 65 * 65
    assert np.abs(whole.numbers[0] - grid.numbers[0]).max() < 0.01  # probability is smooth at this scale


class Disc(nn.Module):
    """Class 1 within ``radius`` (l2) of ``middle``, class 0 elsewhere."""

    def __init__(self, middle: Tensor, radius: float) -> None:
        super().__init__()
        self.middle, self.radius = middle, radius

    def forward(self, x: Tensor) -> Tensor:
        inside = self.radius - (x - self.middle).flatten(1).norm(dim=1)
        return torch.stack([torch.zeros_like(inside), inside], 1)


def test_an_island_in_the_middle_of_a_square_of_the_first_level_is_seen() -> None:
    flat, start, normal = random_half_space()
    plane = a_plane(start, normal)
    place = (np.array([1.5]), np.array([0.5]))  # squares of the first level have sides of 1
    network = Classifier(flat.card, Disc(torch.from_numpy(plane.points(*place)[0]), 0.3))
    grid, _, finished = carried_out(Plane(plane, (1.0, 0.0), 2.0, 64), network)
    right, up = np.meshgrid(np.linspace(-1, 3, 65), np.linspace(-2, 2, 65))
    away = np.hypot(right - 1.5, up - 0.5)
    sure = np.abs(away - 0.3) > 0.05
    assert ((away < 0.3) == (grid.labels == 1))[sure].all()
    assert [one.asked for one in finished[:2]] == [25, 41]  # the corners; the middles of the squares


def test_finer_levels_ask_only_what_is_new() -> None:
    network, start, normal = random_half_space()
    coarse = Plane(a_plane(start, normal), (1.0, 0.0), 2.0, 16)
    _, asked, _ = carried_out(coarse, network)
    fine = replace(coarse, cells=64)
    rest = [a for a in replace(fine, known=tuple(asked)).pieces(network) if isinstance(a, Asked)]
    assert {answer.cells for answer in rest} == {32, 64}
    grid, in_one_go, _ = carried_out(fine, network)
    assert sum(len(a.at) for a in asked + rest) == sum(len(a.at) for a in in_one_go)
    assert (grid_of([*asked, *rest], 64).labels == grid.labels).all()


def test_what_is_clipped_is_counted_and_what_is_asked_about_is_a_picture() -> None:
    network, start, normal = random_half_space()
    seen: list[tuple[float, float]] = []
    network.register_forward_pre_hook(
        lambda _, args: seen.append((float(args[0].min()), float(args[0].max())))
    )
    _, asked, _ = carried_out(Plane(a_plane(start, normal), (0.0, 0.0), 40.0, 8), network)
    assert min(low for low, _ in seen) == 0 and max(high for _, high in seen) == 1
    shares = {at: share for answer in asked for at, share in zip(answer.at, answer.clipped, strict=True)}
    assert max(shares.values()) > 0.3
    inside = [answer for answer in asked if answer.cells == 8]
    assert all(0 <= share <= 1 for answer in inside for share in answer.clipped)


def test_another_network_has_another_plane() -> None:
    network, start, normal = random_half_space(seed=0)
    other, *_ = random_half_space(seed=9)
    plane = Plane(a_plane(start, normal), (1.0, 0.0), 2.0, 16)
    grids = [carried_out(plane, asked)[0] for asked in (network, other)]
    assert (grids[0].labels != grids[1].labels).any()


def test_points_on_one_line_span_no_plane() -> None:
    _, start, normal = random_half_space()
    with pytest.raises(BadSetting, match="off the line"):
        axes(start, start + normal, start - 3 * normal)
    with pytest.raises(BadSetting, match="has not changed yet"):
        axes(start, start, start + normal)
    with pytest.raises(BadSetting, match="cells in a row, got 48"):
        Plane(a_plane(start, normal), (0, 0), 1.0, 48)
