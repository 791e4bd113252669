"""How seldom chance finds what optimisation finds, and how much farther it must go."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import models
from errors import BadSetting, UnknownName
from experiments.cache import Store
from experiments.core import run
from experiments.szegedy2013.rarity import (
    FARTHEST,
    LINEAR,
    Drawn,
    DrawStage,
    Rarity,
    chunks,
    farther,
    right,
    sphere,
)
from models.core import Card, Classifier, WeightsFile


@pytest.fixture
def small(monkeypatch, tmp_path):
    """No MNIST: scikit-learn's digits."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))


def flat(w: Tensor, b: float) -> Classifier:
    """Return a classifier with the one boundary ``w x = b``."""
    card = Card("flat", "Flat", "", 28, ("no", "yes"), WeightsFile("", ""), mean=(0.0,), std=(1.0,))
    linear = nn.Linear(784, 2)
    linear.weight.data = torch.stack([torch.zeros(784), w])
    linear.bias.data = torch.tensor([0.0, -b])
    return Classifier(card, nn.Sequential(nn.Flatten(), linear))


def test_lines_against_the_closed_form_of_a_flat_boundary():
    rng = torch.Generator().manual_seed(0)
    w, x = torch.randn(784, generator=rng), torch.full((1, 28, 28), 0.5)
    b = float(w @ x.flatten()) + 0.1 * float(w.norm())
    model = flat(w, b)
    direction = sphere(400, x, rng)
    distance = farther(model, x, torch.tensor(0), direction, 0.1, boxed=False)
    exact = 1 / (direction.flatten(1) @ (w / w.norm())).abs()
    for value, wanted in zip(distance, exact.tolist(), strict=True):
        assert (value is None and wanted > FARTHEST / 1.25) or value == pytest.approx(wanted, rel=0.005)
    middle = sorted(math.inf if v is None else v for v in distance)[200]
    assert middle == pytest.approx(LINEAR * 28, rel=0.15)


def test_inside_the_box_it_is_the_real_length_that_counts():
    w, x = torch.zeros(784), torch.zeros(1, 28, 28)
    w[0] = 1.0
    direction = torch.full((1, 1, 28, 28), -1.0)
    direction[0, 0, 0, 0] = 1.0
    direction = direction / direction.norm()
    (distance,) = farther(flat(w, 0.1), x, torch.tensor(0), direction, 0.1, boxed=True)
    # In one direction only the first pixel grows, by .1; in the other it never does.
    assert distance == pytest.approx(1, rel=0.01)
    w[0] = -1.0
    assert farther(flat(w, 0.1), x, torch.tensor(0), direction, 0.1, boxed=True) == [None]


def test_the_sphere_is_even():
    direction = sphere(4000, torch.zeros(1, 4, 4), torch.Generator().manual_seed(0)).flatten(1)
    assert torch.allclose(direction.norm(dim=1), torch.ones(4000), atol=1e-5)
    assert direction.mean(0).abs().max() < 0.02 and (direction.square().mean(0) * 16 - 1).abs().max() < 0.1
    assert chunks(1200, 500) == [500, 500, 200] and sum(chunks(7, 500)) == 7


def test_only_pictures_that_are_read_right_count(small):
    model = models.load("lenet")
    x, label = right(model, "", 15)
    assert len(x) == 15 and torch.equal(model(x).argmax(1), label)
    with pytest.raises(BadSetting, match="none of the pictures right"):
        right(flat(torch.zeros(784), 1e9), "", 1)


def test_the_experiment_on_small_digits(small, tmp_path):
    made = Rarity(n=10, draws=40, lines=1, networks="fc100, lenet")
    assert [stage.name for stage in made.stages()[:3]] == ["fc100 attack 0", "fc100 draws 0", "fc100 lines 0"]
    result = run(made, Store(tmp_path / "stored"))
    for net in result.figures.networks.values():
        assert net.success.n == 10 and net.success.value > 0.9
        assert net.flips.full.share.n == 40 * net.length.n
        assert net.clipped_length.high is not None and net.clipped_length.high < 1
        chance, chosen = net.probability.random.median, net.probability.adversarial.median
        assert chosen[0] == chance[0] > 0.5 and chosen[15] < 0.5 < chance[15]
        assert net.farther.open.ratio.value > 2
        assert net.training is not None and net.training.n == net.length.n
    assert result.claims[
        "A random direction must be followed more than twice as far before the answer changes."
    ]


def test_a_boundary_that_chance_does_find_is_found(small, tmp_path, monkeypatch):
    """Where nearly every direction is as good, the draws do flip the answer, and the claims fail."""
    made = Rarity(n=10, draws=20, lines=2, networks="lenet")
    x = torch.full((10, 1, 28, 28), 0.5)
    store = Store(tmp_path)
    adv = x + 4 * sphere(10, x[0], torch.Generator().manual_seed(0))
    store.put_tensors("lenet attack 0", {"x": x, "adv": adv, "label": torch.full((10,), 11) % 10})
    answer = models.load("lenet")(x[:1]).argmax(1)
    store.put_tensors("lenet attack 0", {"x": x, "adv": adv, "label": (answer + 1).repeat(10) % 10})
    drawn = made.carry_out(DrawStage("lenet", 0), store)
    assert isinstance(drawn, Drawn)
    assert [picture.full for picture in drawn.pictures] == [20] * 10
    assert [picture.clipped for picture in drawn.pictures] == [20] * 10


def test_networks_are_checked():
    assert Rarity(networks=" lenet ,lenet").stages()[0].name == "lenet attack 0"
    with pytest.raises(UnknownName):
        Rarity(networks="lenet,nothing")
    with pytest.raises(BadSetting, match="at least one network"):
        Rarity(networks=" , ")
