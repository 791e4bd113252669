"""The structural similarity is that of torchmetrics, whose answers are written down here."""

from __future__ import annotations

import pytest
import torch

from engine.inside.similarity import structural_similarity
from engine.run import Floats


def noisy(shape: tuple[int, ...], noise: torch.Generator) -> tuple[Floats, Floats]:
    one = torch.rand(shape, generator=noise)
    return one.numpy(), (one + 0.1 * torch.randn(shape, generator=noise)).clamp(0, 1).numpy()


def test_it_is_what_torchmetrics_says() -> None:
    """structural_similarity_index_measure of torchmetrics 1.8 in double precision, data_range=1.0, takes
    longer to import than all tests of this folder to run."""
    noise = torch.Generator().manual_seed(0)
    pairs = [noisy(shape, noise) for shape in ((3, 32, 40), (1, 28, 28))]
    seen = [structural_similarity(*pair) for pair in pairs]
    assert seen == pytest.approx([0.9438849557172639, 0.9469538013537696], abs=1e-6)


def test_the_same_picture_is_wholly_alike_and_an_inverted_one_is_not() -> None:
    one, _ = noisy((3, 32, 32), torch.Generator().manual_seed(1))
    assert structural_similarity(one, one) == pytest.approx(1)
    assert structural_similarity(one, 1 - one) < 0
