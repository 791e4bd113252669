"""Digits with their labels or pixels replaced, as in https://arxiv.org/abs/1611.03530, section 2.1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from experiments.datasets.digit_sets import Digits

Replace = Callable[[Digits, torch.Generator], Digits]


def unchanged(digits: Digits, generator: torch.Generator) -> Digits:
    """Return the digits as they are."""
    return digits


def random_labels(share: float) -> Replace:
    """Return what gives ``share`` of the training digits a label drawn at random; test labels stay."""

    def replace(digits: Digits, generator: torch.Generator) -> Digits:
        y = digits.train_y.clone()
        rows = torch.randperm(len(y), generator=generator)[: round(share * len(y))]
        y[rows] = torch.randint(10, (len(rows),), generator=generator)
        return digits._replace(train_y=y)

    return replace


def shuffled_pixels(digits: Digits, generator: torch.Generator) -> Digits:
    """Return all pictures with their pixels in one other order, the same for all."""
    order = torch.randperm(digits.train_x[0].numel(), generator=generator)

    def shuffle(x: Tensor) -> Tensor:
        return x.flatten(1)[:, order].view_as(x)

    return digits._replace(train_x=shuffle(digits.train_x), test_x=shuffle(digits.test_x))


def random_pixels(digits: Digits, generator: torch.Generator) -> Digits:
    """Return every picture with its pixels in an order of its own."""

    def shuffle(x: Tensor) -> Tensor:
        orders = torch.rand(x.flatten(1).shape, generator=generator).argsort(1)
        return x.flatten(1).gather(1, orders).view_as(x)

    return digits._replace(train_x=shuffle(digits.train_x), test_x=shuffle(digits.test_x))


def gaussian(digits: Digits, generator: torch.Generator) -> Digits:
    """Return pictures of normal noise with the mean and deviation of the training digits, labels as before.

    Values lie outside [0, 1] now and then, as in the paper.
    """
    centre, deviation = digits.train_x.mean(), digits.train_x.std()

    def draw(x: Tensor) -> Tensor:
        return torch.randn(x.shape, generator=generator) * deviation + centre

    return digits._replace(train_x=draw(digits.train_x), test_x=draw(digits.test_x))
