"""Products of norms beside what really happens to a change on its way through a network."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import models
from errors import BadSetting, UnknownName
from experiments.cache import Store
from experiments.core import run
from experiments.methods import operator_norms
from experiments.szegedy2013.stability import TABLE_5, Stability, guarantee, lengths, norms, ratios
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
    """A layer, and a way around it."""

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
    found = ratios(model, x, adv, random)
    assert found["chain"] and [row["name"] for row in found["layers"]] == [
        "normalisation", "0", "1", "2", "3", "4", "softmax",
    ]  # fmt: skip
    at, there = (x - 0.5) / 0.5, (adv - 0.5) / 0.5
    assert isinstance(model.network, nn.Sequential)
    for layer, row in zip(model.network, found["layers"][1:], strict=False):
        before, at, there = (there - at).flatten(1).norm(dim=1), layer(at).clone(), layer(there).clone()
        wanted = (there - at).flatten(1).norm(dim=1) / (adv - x).flatten(1).norm(dim=1)
        assert row["adversarial"] == pytest.approx(wanted.tolist(), rel=1e-4)
        assert row["own"] >= float(((there - at).flatten(1).norm(dim=1) / before).max()) * 0.9999
    assert found["layers"][0]["random"] == pytest.approx([2.0] * 5)


def test_a_network_with_branches_is_no_chain_and_a_sum_between_layers_is_seen():
    x, adv, random = torch.rand(3, 2, 1, 6, 6).unbind()
    assert not ratios(classifier(Branching()), x, adv, random)["chain"]
    last = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    assert ratios(classifier(last), x, adv, random)["chain"]

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = last

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = 2 * self.inside(x)
            return logits

    assert not ratios(classifier(Scaled()), x, adv, random)["chain"]


def test_shares_of_the_norms_are_the_whole():
    model = classifier(chain(), std=0.25)
    rows = [row for share in range(4) for row in norms(model, share)]
    found = {row["name"]: row for row in rows}
    assert len(rows) == len(found) == 7
    assert found["normalisation"]["norm"] == 4 and found["softmax"]["norm"] == 0.5
    assert isinstance(model.network, nn.Sequential) and isinstance(model.network[4], nn.Linear)
    assert found["4"]["norm"] == pytest.approx(float(torch.linalg.matrix_norm(model.network[4].weight, 2)))
    for name in ("0", "4"):
        assert 0.9 * found[name]["norm"] < found[name]["reached"] <= found[name]["norm"] * 1.00001
    assert found["0"]["size"] == "3 x 1 x 3 x 3" and "printed" not in found["0"]


def test_a_stride_shows_what_the_printed_factor_makes_of_it():
    model = classifier(nn.Sequential(nn.Conv2d(1, 2, 3, 2), nn.Flatten(), nn.Linear(8, 2)))
    row = next(row for share in range(4) for row in norms(model, share) if row["name"] == "0")
    assert row["printed"] == pytest.approx(row["norm"] / 2)


def test_the_guarantee_of_a_linear_network_is_the_distance_to_its_boundary():
    """For two classes and opposite weights the bound is tight."""
    w = torch.randn(36, generator=torch.Generator().manual_seed(0))
    bound = math.sqrt(2) * float(w.norm())
    attack = {"margin": [2.0], "length": [2 / (2 * float(w.norm()))]}
    found = guarantee(attack, bound)
    assert found is not None and found["share"]["value"] == pytest.approx(1, rel=1e-5)
    assert guarantee({"margin": [2.0], "length": [0.1]}, 1.0) == {
        "radius": {"value": pytest.approx(math.sqrt(2), rel=1e-5), "low": None, "high": None, "n": 1},
        "share": {"value": pytest.approx(10 * math.sqrt(2), rel=1e-5), "low": None, "high": None, "n": 1},
        "broken": 1,
    }
    assert guarantee(attack, None) is None


def test_lengths_are_of_differences_to_the_first_third():
    values = torch.tensor([[1.0, 1], [2, 2], [4, 5], [2, 2], [1, 1], [2, 3]])
    assert torch.allclose(lengths(values), torch.tensor([[5.0, 0], [0, 1]]).double())


def test_the_experiment_on_small_digits(small, tmp_path):
    result = run(Stability(n=10, networks="fc100,lenet"), Store(tmp_path / "kept"))
    nets, claims = result["figures"]["networks"], result["claims"]
    for name, count in (("fc100", 8), ("lenet", 9)):
        layers = nets[name]["layers"]
        assert nets[name]["chain"] and len(layers) == count and not nets[name]["unknown"]
        assert layers[-1]["product"] == pytest.approx(math.prod(row["norm"] for row in layers), rel=1e-4)
        assert all(0 < row["adversarial"]["value"] <= row["product"] * 1.001 for row in layers)
        assert nets[name]["gain"]["value"] > 1
    assert claims["No layer stretches any difference by more than its norm."] and len(claims) == 5


def test_photos_branch_and_another_attack(small, tmp_path):
    """Norms and ratios without a product; PGD goes just as far as it is told."""
    made = Stability(networks="photos", photos=2, epsilon=4)
    model = models.load("photos")
    store = Store(tmp_path / "kept")
    attack = made.piece("photos attack 0", store)
    assert attack["length"] and all(length == pytest.approx(4, rel=0.02) for length in attack["length"])
    followed = made.piece("photos ratios 0", store)
    stem = operator_norms.norm(model.network.get_submodule("stem.0"), (3, 128, 128))
    assert stem is not None
    names = [row["name"] for row in followed["layers"]]
    assert names[1] == "stem.0"
    done: dict[str, Any] = {f"photos norms {share}": [] for share in range(4)}
    done["photos norms 0"] = [{"name": n, "norm": stem.value if n == names[1] else None} for n in names]
    done |= {"photos attack 0": attack, "photos ratios 0": followed}
    net = made.figures(done)["networks"]["photos"]
    assert not net["chain"] and net["guarantee"] is None and net["layers"][1]["product"] is None
    claims = made.claims(made.figures(done))
    assert claims["No layer stretches any difference by more than its norm."] and len(claims) == 2


def test_a_change_that_fools_nobody_is_no_result(small, tmp_path):
    with pytest.raises(BadSetting, match="on no picture"):
        Stability(networks="photos", photos=2, epsilon=0.01).piece("photos attack 0", Store(tmp_path))


def test_alexnet_is_a_chain_and_its_poolings_overlap():
    entry = models.registry()["alexnet"]
    torch.manual_seed(0)
    model = Classifier(entry.card, models.prepared(entry.build()))
    found = ratios(model, *torch.rand(3, 1, 3, 224, 224).unbind())
    assert found["chain"] and len(found["layers"]) == 23
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
