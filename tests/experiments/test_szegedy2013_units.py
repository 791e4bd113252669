"""What layers give out, which pictures excite a unit most, and what a rotation leaves as it was."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import models
from errors import BadSetting, MissingData, UnknownName
from experiments.cache import Store
from experiments.core import run
from experiments.datasets import images
from experiments.methods import activations
from experiments.szegedy2013.units import (
    Units,
    above,
    active_units,
    compared,
    nearest,
    null,
    orthogonal,
    purity,
    rotated,
    tops,
)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """No MNIST: scikit-learn's digits."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))


def test_layers_are_named_in_order_and_a_second_call_is_told_apart():
    assert activations.names(models.load("lenet")) == [
        "conv1",
        "pool",
        "conv2",
        "pool (2)",
        "fc1",
        "relu",
        "fc2",
    ]


def test_features_are_what_the_layers_compute():
    model, x = models.load("lenet"), torch.rand(5, 1, 28, 28)
    net: Any = model.network
    first = net.pool(net.conv1(x))
    second = net.pool(net.conv2(first))
    assert torch.allclose(activations.features(model, x, "pool", batch=2), first.flatten(1), atol=1e-5)
    assert torch.allclose(activations.features(model, x, "pool (2)"), second.flatten(1), atol=1e-5)
    hidden = activations.features(model, x)
    assert torch.allclose(hidden, activations.features(model, x, "relu")) and hidden.shape == (5, 500)
    assert torch.allclose(net.fc2(hidden), model(x), atol=1e-5)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with pytest.raises(UnknownName, match="conv1"):
        activations.features(model, x, "conv9")


def test_what_a_layer_gave_is_seen_before_the_next_one_overwrites_it():
    rng, after = torch.Generator().manual_seed(0), []
    model, x = models.load("photos"), torch.rand(1, 3, 128, 128, generator=rng)
    torch.manual_seed(0)  # the layer's first weights
    model.network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 128 * 128, 9), nn.ReLU(inplace=True))
    activations.observe(model, x, lambda layer: after.append((layer.before, float(layer.after.min()))))
    assert after[1][1] < 0 <= after[2][1] and after[2][0].min() < 0
    model.network = nn.Flatten()
    with pytest.raises(BadSetting, match="no fully connected layer"):
        activations.features(model, x)


def test_tops_and_purity_against_brute_force():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (50, 7))
    brute = [max(np.bincount(row)) / 7 for row in labels]
    assert purity(labels) == pytest.approx(brute)
    heights = torch.randn(30, 4)
    for column, row in enumerate(tops(heights, 5)):
        assert row.tolist() == sorted(range(30), key=lambda i: -float(heights[i, column]))[:5]
    phi = torch.relu(torch.tensor([[-1.0, 1, 1], [-2, 2, -1], [-1, 3, -1]]))
    assert active_units(phi, 2).tolist() == [1]
    assert active_units(phi, 1).tolist() == [1, 2]


def test_the_null_is_what_chance_does_and_the_comparison_finds_a_difference():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 100)
    top = rng.integers(0, 1000, (40, 8))
    drawn = null(y, top, 200, rng)
    chance = purity(rng.integers(0, 10, (100_000, 8))).mean()
    assert np.mean(drawn) == pytest.approx(chance, abs=0.005) and np.std(drawn) > 0
    same = compared(rng.random(80).tolist(), rng.random(80).tolist(), 500, rng)
    assert same.p > 0.01 and same.low < 0 < same.high
    other = compared((rng.random(80) + 0.5).tolist(), rng.random(80).tolist(), 500, rng)
    assert other.p < 0.01 and 0 < other.low < other.value < other.high


def test_how_far_above_chance():
    rng = np.random.default_rng(0)
    units, others = rng.normal(0.8, 0.1, 400).tolist(), rng.normal(0.7, 0.1, 400).tolist()
    ratio = above(units, others, 0.3, rng)
    assert ratio.low is not None and ratio.high is not None
    assert ratio.low < 0.8 < ratio.high and ratio.high - ratio.low < 0.1
    same = above(units, units, 0.3, rng)
    assert same.low is not None and same.high is not None
    assert same.value == 1 and same.low < 1 < same.high


@pytest.mark.parametrize("name", ["lenet", "fc100"])
def test_a_rotation_keeps_the_function_and_the_neighbours_and_changes_the_units(name):
    model, x = models.load(name), torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    linear = activations.last_linear(model) or ""
    turned = rotated(model, linear, torch.Generator().manual_seed(1))
    assert (model(x) - turned(x)).abs().max() < 1e-3
    here, there = activations.features(model, x), activations.features(turned, x, f"{linear}.0")
    assert not torch.allclose(here, there, atol=0.1)
    assert torch.allclose(here.norm(dim=1), there.norm(dim=1), rtol=1e-4)
    assert torch.equal(nearest(here.double()), nearest(there.double()))
    assert activations.last_linear(model) == linear, "the network itself was changed"


def test_a_random_rotation_is_orthogonal():
    q = orthogonal(30, torch.Generator().manual_seed(0))
    assert torch.allclose(q @ q.T, torch.eye(30, dtype=torch.float64), atol=1e-12)
    signs = [float(orthogonal(2, torch.Generator().manual_seed(s))[0, 0]) > 0 for s in range(200)]
    assert 60 < sum(signs) < 140


@pytest.mark.parametrize("name", ["lenet", "fc100"])
def test_the_experiment_on_small_digits(small, tmp_path, name):
    made = Units(n=200, units=60, directions=80, model=name, shuffles=200, k=4)
    result = run(made, Store(tmp_path / "stored"))
    figures = result.figures
    assert figures.pictures == 200 and figures.labels == "given" and "scikit-learn" in figures.origin
    assert result.claims["The network whose hidden layer was rotated says the same."]
    for family in figures.families.values():
        assert family.chance.high is not None and family.purity.value > family.chance.high
        assert len(family.shown) == 8
        assert family.shown[0].heights == sorted(family.shown[0].heights, reverse=True)
    strip = base64.b64decode(figures.families["units"].shown[0].png)
    assert Image.open(io.BytesIO(strip)).size == (4 * 28, 28)


def test_a_layer_of_maps_and_photos_by_what_the_network_calls_them(small, tmp_path):
    made = Units(n=10, units=8, directions=8, model="photos", layer="stem.2", k=2, shuffles=100)
    figures = run(made, Store(tmp_path)).figures
    assert figures.origin == images.BUNDLED and 5 <= figures.pictures <= 10
    assert figures.labels == "the network's own answers" and figures.width > 1000


def test_photos_of_a_folder_are_labelled_by_their_folders(small, tmp_path):
    card = models.card("photos")
    with pytest.raises(MissingData, match="found none"):
        images.pictures(card, str(tmp_path))
    for name in ("red", "green"):
        (tmp_path / name).mkdir()
        for index in range(3):
            Image.new("RGB", (200, 150), name).save(tmp_path / name / f"{index}.png")
    photos = images.pictures(card, str(tmp_path), 0, 4)
    assert photos.x.shape == (4, 3, card.size, card.size)
    rest = images.pictures(card, str(tmp_path), 4, 9)
    both = torch.cat([photos.x, rest.x])
    assert photos.y is not None and rest.y is not None
    assert torch.equal(both[:, 0].mean((1, 2)) > 0.5, torch.cat([photos.y, rest.y]) == 1)


def test_the_archive_is_read_in_place(shared):
    photos = images.pictures(models.card("photos"), str(shared("caltech101_160.tar").parent), 0, 6)
    assert photos.source == "Caltech-101" and len(photos.x) == 6 and photos.y is not None
    assert photos.x.std((1, 2, 3)).min() > 0.02


def test_more_tops_than_pictures_are_refused(small, tmp_path):
    with pytest.raises(BadSetting, match="Expected k to be below"):
        run(Units(n=10, k=20), Store(tmp_path))


def test_a_layer_too_wide_for_so_many_pictures_is_refused(small, tmp_path):
    with pytest.raises(BadSetting, match="Expected n to be at most"):
        run(Units(n=60_000, layer="conv1"), Store(tmp_path))


def test_a_free_text_is_a_setting():
    layer = next(s for s in Units.settings() if s.name == "layer")
    assert layer.parse(" fc1 ") == "fc1" and layer.parse("") == "" and layer.format("fc1") == "fc1"
    with pytest.raises(BadSetting, match="a text of up to 100 signs"):
        layer.check("x" * 101)
    with pytest.raises(BadSetting, match="Expected layer to be a text"):
        layer.check(3)
