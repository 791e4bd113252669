"""Networks made to give logits: their own probabilities come back, and gradients flow."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from models.added.adapting import adapted, logits
from models.added.record import InputFormat, OutputFormat

TAKES = InputFormat(8, 8)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("one_logit", lambda z: z[:, 1:2] - z[:, :1]),
        ("one_probability", lambda z: z.softmax(1)[:, 1:]),
        ("probabilities", lambda z: z.softmax(1)),
        ("log_probabilities", lambda z: z.log_softmax(1)),
        ("logits", lambda z: z),
    ],
)
def test_softmax_of_the_logits_is_the_network_s_own(kind, made):
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    made_of = logits(made(z), OutputFormat(kind))
    assert torch.allclose(made_of.softmax(1), z.softmax(1), atol=1e-12)
    (gradient,) = torch.autograd.grad((made_of[:, 1] - made_of[:, 0]).sum(), z)
    expected = torch.tensor([-1.0, 1.0], dtype=torch.float64).expand(6, 2)
    assert torch.allclose(gradient, expected, atol=1e-9)


def test_sigmoids_become_their_logits():
    z = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(logits(z.sigmoid(), OutputFormat("sigmoids")), z, atol=1e-4)


def test_probabilities_of_0_and_1_stay_finite():
    sure = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for kind in ("probabilities", "sigmoids"):
        assert logits(sure, OutputFormat(kind)).isfinite().all()
    assert logits(torch.tensor([1.0, 0.0]), OutputFormat("one_probability")).isfinite().all()


def test_without_the_background_the_others_keep_their_odds():
    z = torch.randn(3, 5)
    probabilities = logits(z.softmax(1), OutputFormat("probabilities", background=True)).softmax(1)
    assert torch.allclose(probabilities, z[:, 1:].softmax(1), atol=1e-6)


def test_a_plain_network_stays_itself_and_in_float32():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).half()
    assert adapted(network, TAKES, OutputFormat()) is network
    assert next(network.parameters()).dtype == torch.float32


def test_images_are_resized_and_their_channels_reversed():
    shapes: list[tuple[int, ...]] = []

    class Sees(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(x.shape))
            return x.mean((2, 3))

    takes = replace(TAKES, height=6, width=10, reversed_channels=True)
    x = torch.stack([torch.full((10, 10), value) for value in (1.0, 2.0, 3.0)])[None]
    given = adapted(Sees(), takes, OutputFormat())(x)
    assert shapes == [(1, 3, 6, 10)] and torch.allclose(given, torch.tensor([[3.0, 2.0, 1.0]]))
