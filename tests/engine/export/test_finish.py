"""The finish in whole grey levels: the least change there is, towards the class that is nearest."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attacks.contract import Criterion, Query, answer
from engine.export.finish import ENOUGH, Goal, least_change, least_with
from engine.export.view import Levels, network_view
from tests.support import small_model
from tests.support.small_model import SIZE

GREY = 100
SLOPES = st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=4)


def room(values: int) -> tuple[Levels, Levels]:
    return np.full((1, 1, values), -3, np.int16), np.full((1, 1, values), 2, np.int16)


@given(SLOPES, st.floats(0.01, 6))
def test_no_change_in_whole_levels_gains_as_much_and_is_less(slopes: list[float], gain: float) -> None:
    slope = np.array(slopes, np.float32).reshape(1, 1, -1)
    low, high = room(len(slopes))
    change = least_with(slope, (low, high), gain)
    assert change.dtype == np.int16 and (change >= low).all() and (change <= high).all()
    gained = float((slope * change).sum())
    every = np.array(list(product(range(-3, 3), repeat=len(slopes))))
    gains, sizes = every @ slope.ravel(), np.square(every).sum(1)
    if gained < gain - 1e-5:
        assert gained == pytest.approx(float(gains.max()), abs=1e-3)
    assert np.square(change.astype(int)).sum() <= sizes[gains >= gained + 1e-5].min(initial=10_000)


def test_flat_slopes_and_gains_that_are_there_already_need_no_change() -> None:
    slope = np.zeros((1, 1, 3), np.float32)
    assert not least_with(slope, room(3), 1.0).any()
    assert not least_with(slope + 1, room(3), -1.0).any()


class Linear(torch.nn.Module):
    """Three classes of which the first leads; the second is likelier, the third nearer."""

    def __init__(self) -> None:
        super().__init__()
        values = torch.randn(2, 3 * SIZE * SIZE, generator=torch.Generator().manual_seed(3))
        self.slopes = values / values.norm(dim=1, keepdim=True) * torch.tensor([[12.0], [50.0]])

    def forward(self, x: Tensor) -> Tensor:
        rivals = (x - x.new_full(x.shape, GREY / 255)).flatten(1) @ self.slopes.T
        return torch.cat([rivals.new_zeros(len(x), 1), rivals - torch.tensor([1.0, 2.0])], 1)


def test_a_finish_goes_to_the_nearest_class_not_to_that_of_the_run() -> None:
    model, picture = Linear(), torch.full((3, SIZE, SIZE), GREY / 255)
    criterion, view = Criterion(torch.tensor([0]), False), network_view(small_model.card(), picture)
    goal = Goal(lambda x, objective: answer(model, Query(x, objective)), view, criterion)
    ended = (25 * model.slopes[0] / 12).reshape(3, SIZE, SIZE).numpy()
    assert int(model(picture[None] + torch.from_numpy(ended)[None] / 255).argmax()) == 1
    finished = least_change(goal, ended, view.room)
    assert finished.reached and int(model(view.see(finished.change)).argmax()) == 2
    slope = (model.slopes[1] / 255).reshape(3, SIZE, SIZE).numpy()
    least = least_with(slope, view.room, 2 + ENOUGH)
    assert np.linalg.norm(finished.change.astype(float)) <= 1.01 * np.linalg.norm(least.astype(float))
    assert finished.queries == 1 + sum(count * steps for count, steps in [(2, 4), (2, 8), (1, 60)])


def test_steps_to_a_named_class_stay_with_it() -> None:
    model, picture = Linear(), torch.full((3, SIZE, SIZE), GREY / 255)
    criterion, view = Criterion(torch.tensor([1]), True), network_view(small_model.card(), picture)
    goal = Goal(lambda x, objective: answer(model, Query(x, objective)), view, criterion)
    finished = least_change(goal, np.zeros(view.shape, np.float32), view.room)
    assert finished.reached and int(model(view.see(finished.change)).argmax()) == 1
