"""Products of norms beside what really happens to a change on its way through a network."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import models
from engine.intervals import Estimate
from errors import BadSetting, UnknownName
from experiments.cache import Store
from experiments.core import run
from experiments.methods import operator_norms
from experiments.szegedy2013.stability import (
    TABLE_5,
    AttackAnswer,
    AttackStage,
    Layer,
    LayerNorms,
    Ratios,
    RatioStage,
    Stability,
    guarantee,
    lengths,
    norms,
    ratios,
)
from models.core import Card, Classifier, WeightsFile


@pytest.fixture
def small(monkeypatch, tmp_path):
    """No MNIST: scikit-learn's digits."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))


def classifier(network: nn.Module, std: float = 0.5) -> Classifier:
    card = Card("made", "Made", "", 6, ("a", "b"), WeightsFile("", ""), mean=(0.5,), std=(std,))
    return Classifier(card, network)


class Branching(nn.Module):
    """A layer, and a connection around it."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.one, self.two = nn.Flatten(), nn.Linear(36, 36), nn.Linear(36, 2)

    def forward(self, x: Tensor) -> Tensor:
        flat = self.flat(x)
        logits: Tensor = self.two(flat + self.one(flat))
        return logits


def chain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, 1, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2)
    )


def test_ratios_against_a_network_taken_apart():
    model = classifier(chain())
    x, adv, random = torch.rand(3, 5, 1, 6, 6).unbind()
    measured = ratios(model, x, adv, random)
    assert measured.chain and [layer.name for layer in measured.layers] == [
        "normalisation", "0", "1", "2", "3", "4", "softmax",
    ]  # fmt: skip
    at, there = (x - 0.5) / 0.5, (adv - 0.5) / 0.5
    assert isinstance(model.network, nn.Sequential)
    for layer, grown in zip(model.network, measured.layers[1:], strict=False):
        before, at, there = (there - at).flatten(1).norm(dim=1), layer(at).clone(), layer(there).clone()
        wanted = (there - at).flatten(1).norm(dim=1) / (adv - x).flatten(1).norm(dim=1)
        assert grown.adversarial == pytest.approx(wanted.tolist(), rel=1e-4)
        assert grown.own >= float(((there - at).flatten(1).norm(dim=1) / before).max()) * 0.9999
    assert measured.layers[0].random == pytest.approx([2.0] * 5)


def test_a_network_with_branches_is_no_chain_and_a_sum_between_layers_is_seen():
    x, adv, random = torch.rand(3, 2, 1, 6, 6).unbind()
    assert not ratios(classifier(Branching()), x, adv, random).chain
    last = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    assert ratios(classifier(last), x, adv, random).chain

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = last

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = 2 * self.inside(x)
            return logits

    assert not ratios(classifier(Scaled()), x, adv, random).chain


def test_shares_of_the_norms_are_the_whole():
    model = classifier(chain(), std=0.25)
    every = [layer for share in range(4) for layer in norms(model, share)]
    layers = {layer.name: layer for layer in every}
    assert len(every) == len(layers) == 7
    assert layers["normalisation"].norm == 4 and layers["softmax"].norm == 0.5
    assert isinstance(model.network, nn.Sequential) and isinstance(model.network[4], nn.Linear)
    assert layers["4"].norm == pytest.approx(float(torch.linalg.matrix_norm(model.network[4].weight, 2)))
    for name in ("0", "4"):
        norm, reached = layers[name].norm, layers[name].reached
        assert norm is not None and reached is not None and 0.9 * norm < reached <= norm * 1.00001
    assert layers["0"].size == "3 x 1 x 3 x 3" and layers["0"].printed is None


def test_a_stride_shows_what_the_printed_factor_makes_of_it():
    model = classifier(nn.Sequential(nn.Conv2d(1, 2, 3, 2), nn.Flatten(), nn.Linear(8, 2)))
    layer = next(layer for share in range(4) for layer in norms(model, share) if layer.name == "0")
    assert layer.norm is not None and layer.printed == pytest.approx(layer.norm / 2)


def test_the_guarantee_of_a_linear_network_is_the_distance_to_its_boundary():
    """For two classes and opposite weights the bound is tight."""
    w = torch.randn(36, generator=torch.Generator().manual_seed(0))
    bound = math.sqrt(2) * float(w.norm())
    attack = AttackAnswer("L-BFGS", 1, length=[2 / (2 * float(w.norm()))], margin=[2.0])
    tight = guarantee(attack, bound)
    assert tight is not None and tight.share.value == pytest.approx(1, rel=1e-5)
    short = guarantee(AttackAnswer("L-BFGS", 1, length=[0.1], margin=[2.0]), 1.0)
    assert short is not None and short.broken == 1
    assert short.radius == Estimate(short.radius.value, None, None, 1)
    assert short.radius.value == pytest.approx(math.sqrt(2), rel=1e-5)
    assert short.share == Estimate(short.share.value, None, None, 1)
    assert short.share.value == pytest.approx(10 * math.sqrt(2), rel=1e-5)
    assert guarantee(attack, None) is None


def test_lengths_are_of_differences_to_the_first_third():
    values = torch.tensor([[1.0, 1], [2, 2], [4, 5], [2, 2], [1, 1], [2, 3]])
    assert torch.allclose(lengths(values), torch.tensor([[5.0, 0], [0, 1]]).double())


def test_the_experiment_on_small_digits(small, tmp_path):
    result = run(Stability(n=10, networks="fc100,lenet"), Store(tmp_path / "stored"))
    nets, claims = result.figures.networks, result.claims
    for name, count in (("fc100", 8), ("lenet", 9)):
        layers = nets[name].layers
        assert nets[name].chain and len(layers) == count and not nets[name].unknown
        assert layers[-1].product == pytest.approx(math.prod(layer.norm or 0 for layer in layers), rel=1e-4)
        assert all(0 < layer.adversarial.value <= (layer.product or 0) * 1.001 for layer in layers)
        assert nets[name].gain.value > 1
    assert claims["No layer stretches any difference by more than its norm."] and len(claims) == 5


def test_photos_branch_and_another_attack(small, tmp_path):
    """Norms and ratios without a product; PGD goes just as far as it is told."""
    made = Stability(networks="photos", photos=2, epsilon=4)
    model = models.load("photos")
    store = Store(tmp_path / "stored")
    attack = made.carry_out(AttackStage("photos"), store)
    assert isinstance(attack, AttackAnswer) and attack.length
    assert all(length == pytest.approx(4, rel=0.02) for length in attack.length)
    measured = made.carry_out(RatioStage("photos"), store)
    assert isinstance(measured, Ratios)
    stem = operator_norms.norm(model.network.get_submodule("stem.0"), (3, 128, 128))
    assert stem is not None
    names = [layer.name for layer in measured.layers]
    assert names[1] == "stem.0"
    known = [Layer(name, "", stem.value if name == names[1] else None, "", "") for name in names]
    figures = made.summarise([LayerNorms(known), *[LayerNorms([])] * 3, attack, measured])
    net = figures.networks["photos"]
    assert not net.chain and net.guarantee is None and net.layers[1].product is None
    claims = made.claims(figures)
    assert claims["No layer stretches any difference by more than its norm."] and len(claims) == 2


def test_a_change_that_fools_nobody_is_no_result(small, tmp_path):
    with pytest.raises(BadSetting, match="on no picture"):
        Stability(networks="photos", photos=2, epsilon=0.01).carry_out(AttackStage("photos"), Store(tmp_path))


def test_alexnet_is_a_chain_and_its_poolings_overlap():
    entry = models.registry()["alexnet"]
    torch.manual_seed(0)
    model = Classifier(entry.card, models.prepared(entry.build()))
    measured = ratios(model, *torch.rand(3, 1, 3, 224, 224).unbind())
    assert measured.chain and len(measured.layers) == 23
    pool = operator_norms.norm(model.network.get_submodule("features.2"), (64, 55, 55))
    assert pool is not None and pool.value == 2


def test_the_papers_table():
    paper = {name: bound.value for name, (_, _, bound) in TABLE_5.items()}
    assert math.prod(paper.values()) == pytest.approx(792_792)
    assert models.card("alexnet").paper


def test_networks_are_checked():
    with pytest.raises(UnknownName):
        Stability(networks="nothing")
    with pytest.raises(BadSetting, match="at least one network"):
        Stability(networks="")
