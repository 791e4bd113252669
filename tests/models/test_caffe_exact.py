"""Sums in the order of Caffe's library, and the article's numbers that follow from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import models
from errors import BadSetting
from experiments.cache import Store
from experiments.core import run
from experiments.evans2016 import article
from experiments.evans2016.arithmetic import Arithmetic, ArithmeticFigures
from experiments.methods.sign_steps import asking
from models.caffe_exact.atlas import BLOCK, product
from models.caffe_exact.caffe import as_caffe

f32 = np.float32


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def in_lanes(terms: np.ndarray, first: f32) -> f32:
    lanes = [first, f32(0), f32(0), f32(0)]
    for index, term in enumerate(terms):
        lanes[index % 4] = f32(lanes[index % 4] + term)
    return f32(f32(lanes[0] + lanes[2]) + f32(lanes[1] + lanes[3]))


def summed(terms: np.ndarray, whole: int) -> f32:
    """One sum as the library takes it, a term at a time."""
    total, full = f32(0), len(terms) // BLOCK * BLOCK if whole else 0
    for at in range(0, full, BLOCK):
        block = terms[at : at + BLOCK]
        total = in_lanes(block, total) if whole == 2 else f32(total + in_lanes(block, f32(0)))
    rest = terms[full:]
    if whole == 2 and len(rest) % 4 == 0:
        return f32(total + in_lanes(rest, f32(0)))
    for term in rest:
        total = f32(total + term)
    return total


@pytest.mark.parametrize("k", [3, 16, 48, 100, 147, 576])
@pytest.mark.parametrize(
    ("m", "n", "at", "whole"),
    [
        (50, 100, (0, 0), 2),
        (50, 100, (47, 95), 2),
        (50, 100, (49, 0), 1),
        (50, 100, (0, 99), 1),
        (50, 100, (49, 97), 0),
        (48, 49, (10, 48), 0),
        (48, 48, (10, 47), 2),
        (7, 20, (3, 3), 0),
    ],
)
def test_each_sum_is_taken_in_its_order(m, n, at, whole, k):
    a, b = normal(m, k), normal(k, n)
    terms = (a[at[0]].numpy() * b[:, at[1]].numpy()).astype(f32)
    assert product(a, b)[at].item() == summed(terms, whole)


def test_a_product_is_the_product():
    a, b = normal(130, 211), normal(211, 333)
    assert product(a, b).shape == (130, 333)
    assert torch.allclose(product(a, b).double(), a.double() @ b.double(), atol=1e-4)
    assert torch.equal(product(a, b), torch.cat([product(a, b[:, :144]), product(a, b[:, 144:])], 1))


def test_equal_columns_need_not_have_equal_sums():
    a, column = normal(48, 100), normal(100, 1)
    sums = product(a, column.expand(100, 60))
    assert (sums[:, :48] == sums[:, :1]).all() and (sums[:, 48:] == sums[:, 48:49]).all()
    assert (sums[:, 0] != sums[:, 48]).any()


def test_only_caffes_own_network_is_computed_so():
    with pytest.raises(TypeError, match="Caffe's GoogLeNet, got photos"):
        as_caffe(models.load("photos"))
    with pytest.raises(BadSetting, match="the article's, got “photos”"):
        Arithmetic(model="photos")


@pytest.fixture
def article_net(shared):
    shared("weights/bvlc_googlenet.safetensors")
    return models.load(article.NETWORK).double()


def test_it_is_the_same_network_but_for_rounding(article_net):
    x = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mine, theirs = (
        asking(net)(x, lambda logits: logits.softmax(1)[:, 388])
        for net in (article_net, as_caffe(article_net))
    )
    assert torch.allclose(mine.logits.softmax(1), theirs.logits.softmax(1), atol=1e-5)
    agreed = (mine.gradient.sign() == theirs.gradient.sign()).double().mean()
    assert float(agreed) > 0.999  # the same but where they are nearly 0


def test_the_articles_numbers_come_out_to_the_last_digit(article_net, tmp_path: Path):
    """And the one step without the nine, which is the same one, so that its answer serves here."""
    whole, brief = Arithmetic(), Arithmetic(nine=False)
    result = run(whole, Store(tmp_path))
    assert all(result.claims.values()) and len(result.claims) == 3
    figures = result.figures
    assert round(100 * figures.probabilities["nine steps"]["paper towel"], 2) == 89.98
    assert round(100 * figures.probabilities["one step"]["velvet"], 2) == 60.17
    assert len(figures.curve) == 10 and [round(p, 2) for p in figures.curve[4:8]] == [
        0.07,
        0.11,
        0.22,
        0.41,
    ]
    (tmp_path / f"arithmetic-{whole.key()}").rename(tmp_path / f"arithmetic-{brief.key()}")
    alone = run(brief, Store(tmp_path))
    assert list(alone.figures.probabilities) == ["black", "one step"] and len(alone.figures.curve) == 1
    assert list(alone.claims.values()) == [True, True]


def test_a_claim_falls_where_a_digit_differs():
    experiment = Arithmetic()
    printed = {name: dict(rows) for name, rows in article.PRINTED.items()}
    p = {name: {label: percent / 100 for label, percent in rows.items()} for name, rows in printed.items()}
    figures = ArithmeticFigures("paper towel", [], p, printed)
    assert all(experiment.claims(figures).values())
    p["nine steps"]["wool"] += 0.0001
    assert list(experiment.claims(figures).values()) == [True, True, False]
