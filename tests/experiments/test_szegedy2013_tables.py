"""The digit networks and tables 1 to 4 of 1312.6199: training, distortion, transfer, and what is claimed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn
from torch.nn import functional

import experiments
import models
from attacks.contract import Criterion
from experiments.cache import Store
from experiments.core import Experiment, dump, run
from experiments.datasets.digit_sets import Digits, digits
from experiments.methods import lbfgs_examples
from experiments.szegedy2013 import table2
from experiments.szegedy2013.digit_nets import Count, DigitNets, Printed, Round, Trained
from experiments.szegedy2013.grid import Grid, Source
from experiments.szegedy2013.table1 import DISTORTION, Attack, Attacked, Table1
from experiments.szegedy2013.table2 import Table2
from experiments.szegedy2013.table4 import Table4
from experiments.szegedy2013.transfer import Met
from experiments.toolkit import codec
from models.architectures.perceptrons import NETWORKS, Perceptron
from models.records import read_record
from models.train import digit_nets as training
from settings import RESULTS

EVERY = lbfgs_examples.NETS
F = TypeVar("F")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Return a store, and see to it that the digits are scikit-learn's."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    return Store(tmp_path / "experiments" / "mine")


def shipped(kind: type[Experiment[Any, F]]) -> F:
    """Return the figures that ship."""
    result = experiments.shipped(kind)
    assert result is not None
    return result.figures


def linear(seed: int = 0) -> nn.Module:
    """Return a random linear network of ten classes."""
    torch.manual_seed(seed)
    return Perceptron(10).requires_grad_(False)


def made_up(n: int = 12) -> Digits:
    """Return pictures well inside [0, 1] and labels."""
    generator = torch.Generator().manual_seed(1)
    x = 0.3 + 0.4 * torch.rand(n, 1, 28, 28, generator=generator)
    return Digits(x, linear()(x).argmax(1), x, linear()(x).argmax(1), "made up")


# --- training -----------------------------------------------------------------------------------


def test_the_decay_is_half_the_sum_of_squares_or_as_printed():
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2, 0], [0, 0, 3]]))
        layer.bias.copy_(torch.tensor([4.0, 0]))
    assert float(training.penalty([layer], (0.1,)).detach()) == pytest.approx(0.05 * (14 + 16))
    assert float(training.penalty([layer], (0.1,), as_printed=True).detach()) == pytest.approx(0.1 * 14 / 2)


def test_a_linear_network_is_trained_to_the_minimum_that_scipy_finds(small):
    found = digits()
    x, y = found.train_x[:60], found.train_y[:60]
    network = training.fresh("fc10_1e-2", 0)
    for turn in range(2):
        losses = training.train_round("fc10_1e-2", network, x, y, turn, 0)
    flat = x.flatten(1).double().numpy()

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(at.reshape(10, 785), requires_grad=True)
        logits = torch.from_numpy(flat) @ weights[:, :-1].t() + weights[:, -1]
        loss = functional.cross_entropy(logits, y) + 0.005 * weights.pow(2).sum()
        loss.backward()
        assert weights.grad is not None
        return float(loss.detach()), weights.grad.numpy().ravel()

    best = minimize(objective, np.zeros(7850), jac=True, method="L-BFGS-B", options={"maxiter": 100})
    assert losses[-1] == pytest.approx(best.fun, rel=1e-4)


def test_the_sparse_units_are_as_active_as_is_asked_and_stay_as_they_are_under_the_classifier(small):
    wanted = torch.tensor([0.05, 0.05])
    assert float(training.divergence(wanted, 0.05)) == pytest.approx(0, abs=1e-6)
    assert float(training.divergence(torch.tensor([0.5]), 0.05)) == pytest.approx(
        0.05 * np.log(0.1) + 0.95 * np.log(1.9)
    )
    found = digits()
    network = training.fresh("ae400", 0)
    encoder = training.layers(network)[0]
    before = encoder.weight.detach().clone()
    training.train_round("ae400", network, found.train_x[:500], found.train_y[:500], 0, 0)
    after = encoder.weight.detach().clone()
    assert not torch.equal(before, after)
    last = training.RECIPES["ae400"].rounds - 1
    training.train_round("ae400", network, found.train_x[:500], found.train_y[:500], last, 0)
    assert torch.equal(encoder.weight.detach(), after)
    assert training.error(network, found.train_x[:500], found.train_y[:500]) < 0.4


def test_a_half_is_a_half():
    rows = torch.arange(11)
    assert torch.equal(torch.cat([rows[training.part(1, 11)], rows[training.part(2, 11)]]), rows)
    assert len(rows[training.part(1, 11)]) == 5 and len(rows[training.part(0, 11)]) == 11


def test_training_goes_on_where_it_was_and_learns(small):
    experiment = DigitNets(n=300)
    rounds = [
        stage for stage in experiment.stages() if isinstance(stage, Round) and stage.network == "fc100_p2"
    ]
    first, *_, last = [trained(experiment.carry_out(stage, small)) for stage in rounds]
    judged = last.judged
    assert judged and judged.train == Count(0, 150) and judged.test.wrong < 0.2 * judged.test.n
    assert judged.other_half and judged.other_half.wrong > 0 and judged.other_half.n == 150
    assert first.judged is None and first.losses


def trained(answer: Trained | Printed) -> Trained:
    """Return the answer of a round of training."""
    assert isinstance(answer, Trained)
    return answer


# --- what ships ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_record_is_what_the_network_does(name, shared):
    shared("mnist/t10k-images-idx3-ubyte.gz")
    found, record = digits(), read_record(name)
    wrong = lbfgs_examples.count_wrong(name, found.test_x, found.test_y)
    assert 100 * wrong / len(found.test_y) == pytest.approx(record["test_error"], abs=0.02)
    assert models.card(name).lab and models.card(name).offline


def test_the_lab_comes_last_among_the_models_that_are_here():
    order = [card.lab for card in models.cards() if card.offline]
    assert order == sorted(order) and True in order and False in order


# --- distortion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", sorted(lbfgs_examples.VARIANTS))
def test_what_is_distorted_is_in_the_box_and_fools(variant):
    pictures = lbfgs_examples.sample(made_up(), "train", 12, 0)
    found = lbfgs_examples.distort(linear(), pictures, variant)
    assert found.met.all() and found.x.min() >= 0 and found.x.max() <= 1
    said = linear()(found.x).argmax(1)
    assert (said != pictures.y).all()
    assert variant == lbfgs_examples.NEAREST or torch.equal(said, pictures.target)


def test_the_nearest_class_of_a_linear_network_is_at_the_distance_of_its_nearest_boundary():
    pictures = lbfgs_examples.sample(made_up(), "train", 12, 0)
    net = linear()
    for each in net.parameters():
        each.mul_(30)  # sure of its answers: of all other classes together, the nearest counts
    found = lbfgs_examples.distort(net, pictures, lbfgs_examples.NEAREST)
    weights = training.layers(net)[0].weight
    logits = net(pictures.x)
    own = logits.gather(1, pictures.y[:, None])
    gap = (weights[pictures.y][:, None] - weights[None]).norm(dim=2)
    distance = ((own - logits) / gap.clamp(min=1e-9)).scatter(1, pictures.y[:, None], torch.inf).amin(1)
    ratio = lbfgs_examples.distortion(pictures.x, found.x) * 28 / distance
    assert (ratio >= 0.999).all() and ratio.mean() < 1.05


def test_what_is_wrong_already_is_left_as_it_is():
    found = made_up()
    pictures = lbfgs_examples.sample(found._replace(train_y=(found.train_y + 1) % 10), "train", 12, 0)
    result = lbfgs_examples.distort(linear(), pictures, lbfgs_examples.NEAREST)
    assert torch.equal(result.x, pictures.x) and result.met.all()


def test_tenfolds_end_at_the_minimum_of_a_power_of_ten():
    pictures = lbfgs_examples.sample(made_up(), "train", 4, 0)
    criterion, net = Criterion(pictures.target, True), linear()
    found = lbfgs_examples.in_tenfolds(net, pictures.x, criterion)
    x = found.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(criterion.loss(net(x)).sum(), x)
    for row in range(4):
        change = (found - pictures.x)[row].flatten()
        c = float(-(slope[row].flatten() @ change) / (2 * change @ change))
        assert abs(np.log10(c) - round(np.log10(c))) < 0.02
        assert criterion.met(net(found))[row]


def test_samples_are_drawn_by_the_seed_and_nest():
    few, many = (lbfgs_examples.sample(made_up(40), "train", n, 3) for n in (10, 30))
    assert torch.equal(few.x, many.x[:10]) and torch.equal(few.target, many.target[:10])
    assert (many.target != many.y).all() and len(set(many.index.tolist())) == 30
    assert not torch.equal(few.index, lbfgs_examples.sample(made_up(40), "train", 10, 4).index)
    assert lbfgs_examples.batches(501) == [(0, 250), (250, 500), (500, 501)]


def test_noise_of_a_size_has_it_and_amplified_changes_keep_their_direction():
    x = made_up().train_x
    x[:, :, :14] = 0
    size = torch.linspace(0.01, 0.2, len(x))
    noise = lbfgs_examples.noisy_at(x, size, torch.Generator().manual_seed(0))
    assert torch.allclose(lbfgs_examples.distortion(x, noise), size, rtol=1e-3)
    assert noise.min() >= 0 and noise.max() <= 1
    inside = made_up().train_x
    small = inside + 0.01 * torch.randn(inside.shape, generator=torch.Generator().manual_seed(0))
    large = lbfgs_examples.amplified(inside, small, 0.05)
    assert torch.allclose(lbfgs_examples.distortion(inside, large), torch.tensor(0.05), rtol=1e-3)
    short, longer = (small - inside).flatten(1), (large - inside).flatten(1)
    assert torch.allclose(torch.cosine_similarity(short, longer), torch.tensor(1.0), atol=1e-4)
    assert torch.equal(lbfgs_examples.amplified(inside, inside, 0.1), inside)
    grey = torch.full_like(x, 0.5)
    loud = lbfgs_examples.noisy(grey, 1.0, torch.Generator().manual_seed(0))
    assert float((loud - grey).std()) == pytest.approx(1, rel=0.03) and loud.min() < -1
    assert torch.equal(
        lbfgs_examples.noisy(grey, 1.0, torch.Generator().manual_seed(0), cut=True), loud.clamp(0, 1)
    )


# --- the tables ---------------------------------------------------------------------------------


def test_what_one_table_made_another_finds(small, monkeypatch):
    monkeypatch.setattr("experiments.szegedy2013.table1.NETS", EVERY[:1])
    monkeypatch.setattr("experiments.szegedy2013.table1.VARIANTS", {lbfgs_examples.RANDOM: ""})
    table = Table1(n=10)
    stage = Attack(lbfgs_examples.RANDOM, EVERY[0], 0, 10)
    assert stage in table.stages() and stage.name == f"{lbfgs_examples.RANDOM} {EVERY[0]} 0-10"
    made = table.carry_out(stage, small)
    assert isinstance(made, Attacked) and made.right == 0 and made.met == 10 and max(made.size) > 0.01

    def never(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(lbfgs_examples, "distort", never)
    same = table2.Make(lbfgs_examples.RANDOM, EVERY[0], 0, 10)
    assert same.name == f"made {stage.name}" and same in Table2(n=10).stages()
    assert Table2(n=10).carry_out(same, Store(small.folder.parent / "another")) == Met(10)


def test_table_4_on_small_digits(small):
    figures = run(Table4(n=10), small).figures
    for row, block in figures.rows.items():
        assert block.own_size[row].value == 1 and block.own_size[row].n == 10
        for victim, cell in block.own_size.items():
            clean = figures.clean[victim].value
            assert cell.low is not None and cell.high is not None
            assert cell.low <= cell.value <= cell.high
            assert cell.excess == pytest.approx(cell.value - clean, abs=1e-4)
        assert figures.table3[row].distortion.value > 0
        examples = block.examples
        assert all(a != b for a, b in zip(examples.source, examples.target, strict=True))


def test_a_digit_that_is_never_read_rightly_is_taken_to_every_class_all_the_same(small):
    """Of scikit-learn's sevens the network reads none."""
    found = digits()
    row = Grid().carry_out(Source(7), small)
    assert found.test_y[row.index] == 7
    assert [cell.reached for cell in row.cells] == [True] * 10 and row.cells[7].distortion > 0


@pytest.mark.parametrize("kind", [Table1, Table2, Table4, DigitNets])
def test_a_result_without_any_effect_bears_out_no_claim_of_effect(kind):
    """Nothing changed, nobody fooled: most claims fail."""
    figures = shipped(kind)
    claims = kind().claims(codec.load(_flat(codec.dump(figures)), kind.result))
    assert sum(claims.values()) <= len(claims) / 2


def _flat(value: Any) -> Any:
    """Return figures, as JSON, in which every estimate is 0.5."""
    if isinstance(value, dict):
        return {
            key: 0.5 if key in ("value", "excess", "ratio") else _flat(item) for key, item in value.items()
        }
    return [_flat(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", [Table1, Table2, Table4, DigitNets, Grid])
def test_what_ships_is_read_whole_and_written_as_it_is(kind):
    """Nothing is lost between the file and its types; the one network without a ratio to the paper's, because
    the paper has none, is given an empty one."""
    name = kind.card.name
    result, file = experiments.shipped(kind), json.loads((RESULTS / f"{name}.json").read_text())
    assert result is not None
    if kind is Table1:
        file["figures"]["nets"]["conv"] |= {"ratio": None, "why": ""}
    assert dump(result) == file


def test_the_shipped_tables_name_their_pictures_and_the_papers_numbers():
    first, second = shipped(Table1), shipped(Table2)
    for name, published in DISTORTION.items():
        net = first.nets[name]
        assert net.published == published and net.ratio
        assert bool(net.why) == (abs(net.ratio - 1) > 0.2)
    rows = second.rows[lbfgs_examples.RANDOM]
    assert min(rows[name].cells[name].value for name in EVERY) > 0.9
    for row in rows.values():
        assert len(row.examples.place) == 15
    folder = Path(RESULTS)
    assert all((folder / f"{name}.json").stat().st_size < 150_000 for name in ("table1", "table2", "table4"))
