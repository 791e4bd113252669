"""Maps with known answers, and beside captum's; the network that is asked stays as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
from torch import nn

from engine.engine import Engine
from engine.inside import saliency
from engine.inside.recording import last_convolution
from engine.inside.saliency import GRAD_CAM, INTEGRATED, OCCLUSION, Saliency, SaliencyMap
from engine.networks import state
from engine.recipe import Recipe
from engine.run import Floats
from errors import BadSetting
from models.core import Card, Classifier, WeightsFile

SIZE = 12


def classifier(network: nn.Module, size: int = SIZE, channels: int = 1, classes: int = 3) -> Classifier:
    """Return a classifier of a network; its mean is .25 and its deviation .5."""
    labels, weights = tuple(map(str, range(classes))), WeightsFile("x.safetensors", "0" * 64)
    card = Card("x", "X", "", size, labels, weights, mean=(0.25,) * channels, std=(0.5,) * channels)
    return Classifier(card, network)


class Tokens(nn.Module):
    """Cuts a picture into patches by a convolution, and passes tokens on."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 3)
        self.layers = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8), nn.Linear(8, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.layers(self.patches(x).flatten(2).transpose(1, 2))
        answer: torch.Tensor = self.head(tokens.mean(1))
        return answer


@pytest.fixture
def convolutional() -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = nn.Sequential(nn.Flatten(), nn.Linear(6 * 25, 3))
        body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 6, 3, 2), nn.Tanh(), *head)
        return classifier(body, 13)


@pytest.fixture
def picture() -> Floats:
    return np.random.default_rng(2).random((1, 13, 13), np.float32)


def only(network: Classifier, question: Saliency) -> SaliencyMap:
    *_, last = question.pieces(network)
    assert isinstance(last, SaliencyMap)
    return last


def test_a_linear_networks_integrated_gradients_are_its_weights_times_the_picture():
    linear = nn.Linear(SIZE * SIZE, 3)
    network = classifier(nn.Sequential(nn.Flatten(), linear))
    picture = np.random.default_rng(0).random((1, SIZE, SIZE), np.float32)
    answer = only(network, Saliency(picture, 2, INTEGRATED))
    expected = linear.weight[2].detach().view(SIZE, SIZE).numpy() * (picture[0] - 0.25) / 0.5
    assert np.allclose(answer.values, expected, atol=1e-5)
    assert answer.total == pytest.approx(answer.logit - answer.baseline, abs=1e-5) and abs(answer.gap) < 1e-5


def test_integrated_gradients_are_captums(convolutional, picture):
    answer = only(convolutional, Saliency(picture, 1, INTEGRATED))
    start = torch.full((1, 1, 13, 13), 0.25)
    theirs = IntegratedGradients(convolutional).attribute(
        torch.from_numpy(picture[None]), start, target=1, n_steps=saliency.NODES, method="gausslegendre"
    )
    assert np.abs(answer.values - theirs[0, 0].numpy()).max() < 1e-5
    assert answer.total == pytest.approx(answer.logit - answer.baseline, abs=1e-4)  # completeness
    assert abs(answer.total) > 0.01


def test_occlusion_is_captums(convolutional, picture):
    answer = only(convolutional, Saliency(picture, 1, OCCLUSION))
    batch = torch.from_numpy(picture[None])
    theirs = Occlusion(convolutional).attribute(batch, (1, 2, 2), strides=(1, 2, 2), target=1)
    assert np.abs(answer.values).max() > 0.01 and np.abs(answer.values - theirs[0, 0].numpy()).max() < 1e-5


@pytest.mark.parametrize(("model", "image"), [("lenet", "seven"), ("efficientnet_lite0", "panda")])
def test_grad_cam_is_captums_on_real_networks(model, image):
    engine = Engine()
    try:
        network, label = engine.model(model), engine.classify(model, image)[0].index
        picture = engine.preprocess(Recipe(model, image, "fgsm"))
        before = state(network)
        answer = only(network, Saliency(picture, label, GRAD_CAM))
        assert state(network) == before
        layer = network.get_submodule(answer.layer)
        batch = torch.from_numpy(picture[None])
        theirs = LayerGradCam(network, layer).attribute(batch, label, relu_attributions=True)
        side = answer.values.shape[-1]
        fine = nn.functional.interpolate(theirs, size=(side, side), mode="bilinear")[0, 0].detach().numpy()
        assert fine.max() > 0.1 and np.abs(answer.values - fine).max() < 1e-5 * max(1, float(fine.max()))
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("efficientnet_lite0", "network._conv_head"),
        ("lenet", "network.conv2"),
        ("photos", "network.stages.7.conv2"),
    ],
)
def test_the_last_convolution_is_found_in_folded_networks(model, layer):
    engine = Engine()
    try:
        network = engine.model(model)
        picture = torch.rand(network.card.channels, network.card.size, network.card.size)
        assert last_convolution(network, picture) == layer
    finally:
        engine.close()


def test_grad_cam_says_where_it_has_no_meaning():
    flat = classifier(nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 3)))
    picture = np.random.default_rng(0).random((1, SIZE, SIZE), np.float32)
    for network in (flat, classifier(Tokens())):
        with pytest.raises(BadSetting, match="Grad-CAM has no meaning on this network"):
            only(network, Saliency(picture, 0, GRAD_CAM))
        assert only(network, Saliency(picture, 0, INTEGRATED)).values.shape == (SIZE, SIZE)


def test_shuffled_weights_are_a_copys_and_the_same_each_time(convolutional, picture):
    before = {name: tensor.clone() for name, tensor in convolutional.state_dict().items()}
    one, other = (only(convolutional, Saliency(picture, 1, INTEGRATED, shuffled=True)) for _ in range(2))
    usual = only(convolutional, Saliency(picture, 1, INTEGRATED))
    assert np.allclose(one.values, other.values, atol=1e-6)  # batches are as large as there is time for
    assert not np.allclose(one.values, usual.values, atol=1e-3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in convolutional.state_dict().items())


def test_likeness_is_the_rank_correlation_of_sizes():
    one = np.array([[1.0, -2.0], [3.0, -4.0]], np.float32)
    assert saliency.likeness(one, -10 * one) == pytest.approx(1)
    assert saliency.likeness(one, np.abs(one)[::-1, ::-1]) == pytest.approx(-1)
    assert saliency.likeness(one, np.zeros((2, 2), np.float32)) is None


def test_the_share_inside_the_region():
    # The fifth that is largest: 8 and 9, below on the right.
    reference = np.arange(10, dtype=np.float32).reshape(2, 5)
    values = np.array([[1, 0, 0, -5, 0], [0, 0, 0, 2, 1]], np.float32)
    assert saliency.share_inside(reference, values) == pytest.approx(3 / 4)
    assert saliency.share_inside(reference, -np.ones((2, 5), np.float32)) is None


def test_cells_keep_sums_whatever_the_size():
    for size in (28, 224, 227, 299, 384):
        values = torch.rand(size, size)
        cells = saliency.blocks(values, sums=True)
        assert len(cells) <= saliency.GRID and float(cells.sum()) == pytest.approx(
            float(values.sum()), rel=1e-4
        )
