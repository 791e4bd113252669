"""LeNet under weight decay, and the signs of too little regularisation."""

from __future__ import annotations

import base64
import io
import math

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

import models
from attacks.contract import Criterion, Query, answer
from attacks.towards import objective
from experiments.cache import Store
from experiments.core import run
from experiments.datasets import digit_sets
from experiments.methods import maxout
from experiments.methods.probability_ascent import Ascent, TemperatureScaled, ascend
from experiments.tanay2018 import calibration, lenet
from experiments.toolkit import calibration as reliability
from experiments.toolkit import image_sheets
from models.architectures.level_lenet import LevelLeNet
from models.records import read_record
from models.train import tanay
from models.train.tanay import DECAYS, DecaySettings, Training
from settings import SAMPLES


@pytest.fixture
def small(monkeypatch, tmp_path):
    """scikit-learn's digits, wherever MNIST may lie."""
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    return digit_sets.digits()


def test_the_network_is_matconvnets():
    network = LevelLeNet()
    kinds = [type(module) for module in network.modules()]
    assert kinds.count(nn.ReLU) == 1 and nn.BatchNorm2d not in kinds and nn.Dropout not in kinds
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    # The third convolution, 4 x 4 on maps of 4 x 4, is a matrix.
    assert shapes["conv1.weight"] == (20, 1, 5, 5) and shapes["conv2.weight"] == (50, 20, 5, 5)
    assert shapes["fc1.weight"] == (500, 4 * 4 * 50) and shapes["fc2.weight"] == (10, 500)
    assert sum(p.numel() for p in network.parameters()) == 520 + 25_050 + 400_500 + 5_010


def test_the_network_takes_grey_levels_less_the_mean():
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    network = tanay.begin(DecaySettings(1e-4, spread=0.05), x)
    assert torch.allclose(network.mean_levels, (255 * x).mean(0, keepdim=True), atol=1e-4)
    levels, conv = 255 * x - (255 * x).mean(0), functional.conv2d
    maps = functional.max_pool2d(conv(levels, network.conv1.weight, network.conv1.bias), 2)
    maps = functional.max_pool2d(conv(maps, network.conv2.weight, network.conv2.bias), 2)
    hidden = (maps.flatten(1) @ network.fc1.weight.T + network.fc1.bias).relu()
    assert torch.allclose(network(x), hidden @ network.fc2.weight.T + network.fc2.bias, rtol=1e-4, atol=1e-3)


def test_first_weights_are_drawn_and_biases_are_nought():
    network = tanay.begin(DecaySettings(1e-4, seed=3), torch.zeros(1, 1, 28, 28))
    drawn = {name: float(p.detach().std()) for name, p in network.named_parameters() if p.dim() > 1}
    wanted = {"conv1": (2 / 500) ** 0.5, "conv2": 0.04, "fc1": (2 / 8000) ** 0.5, "fc2": 0.2**0.5}
    assert drawn == pytest.approx({f"{layer}.weight": each for layer, each in wanted.items()}, rel=0.05)
    plain = tanay.begin(DecaySettings(1e-4, spread=0.01), torch.zeros(1, 1, 28, 28))
    assert float(plain.fc1.weight.detach().std()) == pytest.approx(0.01, rel=0.01)
    assert all(not p.any() for p in network.parameters() if p.dim() == 1)
    again = tanay.begin(DecaySettings(1e-1, seed=3), torch.zeros(1, 1, 28, 28))
    assert torch.equal(network.conv1.weight, again.conv1.weight), "decay alone tells the two apart"


def test_the_update_is_matconvnets(small):
    """New v = .9 v - decay * w - mean gradient; new w = w + rate * v; biases too."""
    settings = DecaySettings(0.1, longest=1e9)
    training = Training(settings, small.train_x)
    twin = tanay.begin(settings, small.train_x)
    velocity = [torch.zeros_like(p) for p in twin.parameters()]
    for start in (0, 30, 60):
        x, y = small.train_x[start : start + 30], small.train_y[start : start + 30]
        loss = functional.nll_loss(twin(x).log_softmax(1), y, reduction="sum") / 30
        slopes = torch.autograd.grad(loss, list(twin.parameters()))
        with torch.no_grad():
            for v, w, slope in zip(velocity, twin.parameters(), slopes, strict=True):
                v.mul_(0.9).sub_(settings.decay * w + slope)
                w.add_(settings.rate * v)
        assert training.step(x, y)[0] == pytest.approx(float(loss.detach()), rel=1e-4)
    for ours, theirs in zip(training.network.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-7) and ours.any()


def test_a_long_gradient_is_shortened_and_keeps_its_direction(small):
    x, y, moves = small.train_x[:300], small.train_y[:300], []
    for longest in (1e9, 50.0):
        training = Training(DecaySettings(0.0, longest=longest), x)
        before = training.network.conv1.weight.detach().clone()
        training.step(x, y)
        gradients = [p.grad for p in training.network.parameters() if p.grad is not None]
        moves.append((training.network.conv1.weight.detach() - before).flatten())
        length = float(torch.cat([each.flatten() for each in gradients]).norm())
        assert length == pytest.approx(50, rel=1e-4) if longest == 50 else length > 500
    assert float(functional.cosine_similarity(moves[0], moves[1], dim=0)) == pytest.approx(1, abs=1e-3)
    assert float(moves[0].norm()) > 10 * float(moves[1].norm())


def test_a_run_goes_on_where_it_was_cut(small, tmp_path):
    known, tests = (small.train_x[:90], small.train_y[:90]), (small.test_x[:50], small.test_y[:50])
    whole, first = (tanay.fresh("lenet_high", known[0], epochs=2) for _ in range(2))
    for _ in range(2):
        whole.go_on(known, tests)
    first.go_on(known, tests)
    first.save(tmp_path)
    second = tanay.fresh("lenet_high", known[0], epochs=2)
    second.restore(tmp_path)
    second.go_on(known, tests)
    assert second.curves == whole.curves and second.training.done == 2
    ours, theirs = second.training.network.state_dict(), whole.training.network.state_dict()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-7) for name in theirs)
    record = tanay.decay_record(second, second.training.network, known, tests)
    assert record["epochs"] == 2 and record["curves"]["test"] == whole.curves["test"]


def test_the_records_say_what_was_trained():
    for name, decay in DECAYS.items():
        record = read_record(name)
        settings = record["settings"]
        assert (settings["decay"], settings["rate"], settings["momentum"]) == (decay, 5e-4, 0.9)
        assert (settings["batch"], settings["spread"]) == (300, 0)
        assert {len(column) for column in record["curves"].values()} == {record["epochs"]}
        assert record["curves"]["test"][-1] * 100 == pytest.approx(record["test_error"], abs=0.05)


def test_the_temperature_brings_the_median_to_the_score():
    logits = 30 * torch.randn(501, 10, generator=torch.Generator().manual_seed(0))
    temperature = reliability.median_temperature(logits, 0.95)
    scores = [max(math.exp(v / temperature) for v in row) for row in (logits - logits.amax(1, True)).tolist()]
    sums = [sum(math.exp(v / temperature) for v in row) for row in (logits - logits.amax(1, True)).tolist()]
    middle = sorted(top / whole for top, whole in zip(scores, sums, strict=True))[250]
    assert middle == pytest.approx(0.95, abs=1e-3) and temperature > 1
    with pytest.raises(ValueError, match="between 0.1 and 1"):
        reliability.median_temperature(logits, 0.05)


def test_the_calibration_error_by_hand():
    """Scores .9, .9, .6, .6, of which two, one are right, in two bins and in one: by hand .1 and .15."""

    def logit(p):
        return [math.log(p), math.log(1 - p)]

    logits = torch.tensor([logit(0.9), logit(0.9), logit(0.6), logit(0.6)], dtype=torch.float64)
    labels = torch.tensor([0, 0, 0, 1])
    found = reliability.bins(logits, labels, count=5)
    assert found.counts == [0, 0, 2, 0, 2] or found.counts == [0, 0, 0, 2, 2]
    assert [found.scores[4], found.right[4]] == pytest.approx([0.9, 1.0])
    # (2 * |.9 - 1| + 2 * |.6 - .5|) / 4, and in one bin |.75 - .75|.
    assert reliability.ece(found) == pytest.approx(0.1)
    assert reliability.ece(reliability.bins(logits, labels, count=1)) == pytest.approx(0)
    always = torch.tensor([[100.0, 0.0]] * 4)
    assert reliability.ece(reliability.bins(always, labels)) == pytest.approx(0.25)


def test_the_fitted_temperature_is_that_of_how_the_labels_were_drawn():
    chance = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 5, generator=chance)
    labels = torch.multinomial(logits.softmax(1), 1, generator=chance)[:, 0]
    assert reliability.fit_temperature(7 * logits, labels) == pytest.approx(7, rel=0.05)
    best = reliability.nll(7 * logits, labels, 7.0)
    assert all(reliability.nll(7 * logits, labels, t) > best for t in (1.0, 4.0, 12.0))


@pytest.mark.parametrize("name", list(DECAYS))
def test_the_ascent_ends_sure_within_the_box_by_steps_of_one_length(name):
    """Against a loop that does nothing but the article's sentence."""
    x, label = _seven()
    network, target = models.load(name), torch.tensor([(label + 1) % 10])
    with torch.no_grad():
        temperature = float(network(x).amax() - network(x).median()) / 6
    trail = Ascent(x, ascend(network, temperature, x, target, steps=1000, step_size=8 / 255)).complete()
    assert trail.scores[0] >= 0.95 and trail.x.min() >= 0 and trail.x.max() <= 1
    levels, steps = 255 * x, 0
    while steps < trail.steps[0]:
        at = (levels / 255).requires_grad_()
        p = (network(at) / temperature).log_softmax(1)[0, target[0]]
        (slope,) = torch.autograd.grad(p, at)  # that of p itself is this one times p: the same way
        levels = (levels + 8 * slope / slope.norm()).clamp(0, 255)
        steps += 1
    assert float((levels / 255 - trail.x).abs().max()) < 0.02
    curve = trail.curves[0]
    assert curve[0][0] == 0 and curve[-1][0] == trail.steps[0] and curve[-1][2] >= 0.95 > curve[-2][2]


def test_each_step_has_the_length_of_one_grey_level():
    x, label = _seven()
    x = x * 0.5 + 0.25  # far from the box's walls, which would shorten a step
    steps = ascend(models.load("lenet_high"), 0.5, x, torch.tensor([(label + 1) % 10]), steps=1)
    trail = Ascent(x, steps).complete()
    assert trail.steps == [1]
    assert float((trail.x - x).norm() * 255) == pytest.approx(1, abs=1e-3)


def _seven() -> tuple[torch.Tensor, int]:
    picture = Image.open(SAMPLES / "seven.png")
    x = models.card("lenet_low").preprocess(picture)[None]
    return x, int(models.load("lenet")(x).argmax())


def test_the_gradient_of_the_probability_points_where_the_attack_goes():
    x, label = _seven()
    scaled, criterion = (
        TemperatureScaled(models.load("lenet_high"), 0.5),
        Criterion(torch.tensor([label]), True),
    )
    ours = answer(scaled, Query(x, lambda z: objective("probability", criterion, z))).gradient
    at = x.clone().requires_grad_()
    (plain,) = torch.autograd.grad(scaled(at).softmax(1)[0, label], at)
    assert functional.cosine_similarity(-ours.flatten(), plain.flatten(), 0) > 0.9999


def test_an_ascent_in_stretches_ends_where_it_does_at_once_and_shows_each_stretch():
    x, label = _seven()
    network, target = models.load("lenet_low"), torch.tensor([(label + 1) % 10])
    whole = Ascent(x, ascend(network, 3.0, x, target, steps=1000, step_size=4 / 255)).complete()
    ascent = Ascent(x, ascend(network, 3.0, x, target, 1000, step_size=4 / 255))
    seen = []
    while not ascent.finished:
        seen.append(ascent.trajectory(points=5))
        ascent.advance(7)
    assert len(seen) == math.ceil(whole.steps[0] / 7) > 2
    assert [each.steps[0] for each in seen] == [7 * k for k in range(len(seen))]
    scores = [float(each.scores[0]) for each in seen]
    assert scores == sorted(set(scores)) and scores[-1] < 0.95 <= ascent.last.scores[0]
    assert torch.equal(seen[0].x, x), "what was shown before has not changed since"
    assert torch.allclose(ascent.last.x, whole.x, atol=1e-6)
    assert ascent.trajectory(30).curves[0][::29] == [
        pytest.approx(row, abs=1e-4) for row in whole.curves[0][::29]
    ]
    ascent.advance(7)
    assert ascent.last.index == whole.steps[0], "nothing is left to do"


def test_roughness_tells_noise_from_smooth_filters():
    noise = torch.randn(2000, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert lenet.roughness(noise) == pytest.approx(1, abs=0.03)
    slope = torch.arange(5.0, dtype=torch.float64).expand(3, 5, 5)
    assert lenet.roughness(slope) < 0.2 and lenet.roughness(slope * 9) == pytest.approx(
        lenet.roughness(slope)
    )


def test_a_sheet_shows_each_tile():
    tiles = torch.stack([torch.full((4, 3), level) for level in (0.0, 0.5, 1.0)])
    picture = Image.open(io.BytesIO(base64.b64decode(image_sheets.sheet(tiles, columns=2))))
    assert picture.size == (7, 9)
    assert [picture.getpixel(at) for at in ((0, 0), (4, 0), (0, 5), (3, 0), (4, 5))] == [
        0,
        128,
        255,
        255,
        255,
    ]
    assert image_sheets.signed(torch.tensor([-2.0, 0.0, 2.0]), 2.0).tolist() == [0, 0.5, 1]


def test_training_again_is_an_experiment_too(small, tmp_path):
    made = lenet.LeNetDecay(train=True, epochs=2, train_n=300, n=200, draws=1, steps=5)
    result = run(made, Store(tmp_path))
    curves = result.figures.networks["lenet_low"].curves
    assert len(curves.test) == 2 and curves.trained == "here" and curves.digits == 300
    assert not result.claims["Every digit can be changed into the next one with a score of .95."]


def test_labels_by_lot_and_steps_and_scores(small, tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "digit_models", lambda: list(DECAYS))
    monkeypatch.setattr(calibration, "RESAMPLES", 5)
    made = calibration.Calibration(n=200, attacked=20, random_n=30, random_epochs=30, l1_n=200, l1_epochs=1)
    figures = run(made, Store(tmp_path)).figures
    low = figures.networks["lenet_low"]
    assert len(figures.random_labels["lenet_low"].errors) == 30
    assert low.step.own[0].value == low.step.calibrated[0].value
    assert low.step.calibrated[-1].value > low.step.calibrated[0].value
    grid = {at.temperature: at for at in low.temperatures}
    assert grid[1.0].ece == pytest.approx(low.ece.value, abs=1e-4) and sum(grid[1.0].counts) == 200


def test_the_penalty_keeps_first_weights_near_nothing(small):
    shares = []
    for penalty in (0.0, 0.01):
        network = maxout.begin(0)
        maxout.train(network, small.train_x[:300], small.train_y[:300], penalty, 5, 0)
        shares.append(float((network.first.weight.abs() < 0.005).float().mean()))
    assert shares[0] < 0.2 < shares[1]
