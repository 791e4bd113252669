"""Where networks that are built for it part, and which channel a planted one is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.inside.channels import ChannelChanges, Peaks, Seen, ShelfPeaks, has_places, strongest
from engine.inside.layers import MOST, LayerProfile, Profile, layers_of
from engine.inside.pace import Progress
from engine.networks import state
from engine.run import Floats
from models.core import Classifier
from models.ensemble import Ensemble, joined
from tests.engine.inside.test_saliency import classifier

SIZE = 4


class Threshold(nn.Module):
    """1 where the answer is above .5, else 0: it makes a small step a large one."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.5).float() + 0 * x


def identity(width: int) -> nn.Linear:
    layer = nn.Linear(width, width, bias=False)
    nn.init.eye_(layer.weight)
    return layer


def thresholded() -> Classifier:
    """Return a network whose only non-linear layer is the third of four."""
    width = SIZE * SIZE
    network = nn.Sequential(nn.Flatten(), identity(width), identity(width), Threshold(), identity(width))
    made = classifier(network, SIZE, classes=width)
    made.mean, made.std = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    return made


def profile(network: Classifier, clean: Floats, attacked: Floats, photo: Floats | None = None) -> Profile:
    *_, answer = LayerProfile(clean, attacked, photo).pieces(network)
    assert isinstance(answer, Profile)
    return answer


def halves() -> tuple[Floats, Floats, Floats]:
    """Return a picture just on one side of the threshold in each half, one a little over it, and one that is
    far on the other side."""
    clean = np.full((1, SIZE, SIZE), 0.51, np.float32)
    clean[:, :2] = 0.49
    attacked = 1 - clean
    photo = np.zeros((1, SIZE, SIZE), np.float32)
    photo[:, :2] = 1.0
    return clean, attacked, photo


def test_a_network_whose_only_non_linear_layer_is_the_third_parts_there():
    answer = profile(thresholded(), *halves())
    assert [layer.kind for layer in answer.layers] == ["Linear", "Linear", "Threshold", "Linear"]
    assert answer.parting == 2
    assert answer.changed.l2[1] < 0.1 and answer.changed.cosine[2] == 1  # nothing in common any more
    assert answer.towards is not None and answer.towards.cosine[2] == 0


def test_without_a_picture_of_the_class_or_without_a_change_nothing_parts():
    clean, attacked, photo = halves()
    assert profile(thresholded(), clean, attacked).parting is None
    still = profile(thresholded(), clean, clean, photo)
    assert still.parting is None and float(still.changed.l2.max()) == 0


def test_distances_of_a_linear_layer_are_those_of_the_pictures():
    clean, attacked, photo = halves()
    answer = profile(thresholded(), clean, attacked, photo)
    length = np.linalg.norm
    assert np.isclose(answer.changed.l2[0], length(attacked - clean) / length(clean))
    cosine = (attacked * photo).sum() / (length(attacked) * length(photo))
    assert answer.towards is not None and np.isclose(answer.towards.cosine[0], 1 - cosine)
    # Noise moves every value as far: by l2 it is as far away as the attack.
    assert np.isclose(answer.noise.l2[0], answer.changed.l2[0])


def test_a_deep_network_is_shown_by_its_blocks_and_left_as_it_was():
    blocks = [nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True)) for _ in range(20)]
    network = classifier(nn.Sequential(*blocks, nn.Flatten(), nn.Linear(SIZE * SIZE, 3)), SIZE)
    before = state(network)
    layers = layers_of(network, torch.rand(1, 1, SIZE, SIZE))
    assert len(layers) == 21 <= MOST and layers[0].name == "network.0" and layers[-1].kind == "Linear"
    assert layers[0].shape == (1, SIZE, SIZE) and state(network) == before


def test_of_networks_taken_as_one_the_first_is_looked_at():
    parts = [thresholded(), thresholded()]
    object.__setattr__(parts[1].card, "name", "y")
    answer = profile(Ensemble(joined([part.card for part in parts]), parts), *halves())
    assert answer.network == "X" and answer.parting == 2


def planted() -> Classifier:
    """Return a convolution of 5 channels of which only channel 3 answers to the upper left corner."""
    convolution = nn.Conv2d(1, 5, 3, padding=1)
    nn.init.constant_(convolution.weight, 0.01)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    with torch.no_grad():
        convolution.weight[3] = 1.0
    return classifier(nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Linear(5 * 64, 3)), 8)


def test_a_planted_channel_is_named():
    clean = np.full((1, 8, 8), 0.25, np.float32)  # the mean: it answers nothing
    attacked = clean.copy()
    attacked[:, :2, :2] = 0.75
    (channels,) = ChannelChanges(clean, attacked, "network.0").pieces(planted())
    first, second, *_ = channels
    assert first.channel == 3 and first.size > 50 * second.size
    assert first.clean == 0 and first.attacked > 0 and abs(first.size - first.attacked) < 1e-6


def test_what_excites_a_channel_is_where_it_is():
    pictures = np.full((3, 1, 8, 8), 0.25, np.float32)
    pictures[1, 0, 5:8, 0:3] = 1.0
    pictures[2, 0, 0, 7] = 0.5
    answers = [x for x in ShelfPeaks(pictures, "network.0").pieces(planted()) if not isinstance(x, Progress)]
    assert all(isinstance(answer, Peaks) for answer in answers)
    best, second = strongest(answers, 3, 2)
    assert (best.picture, second.picture) == (1, 2)
    assert best.places[3].tolist() == [6.5 / 8, 1.5 / 8]


class Tokens(nn.Module):
    """Patches of 2 x 2 pixels, row by row, behind one token that is not a place; channel k has k times the
    mean of a patch."""

    def forward(self, x: Tensor) -> Tensor:
        means = functional.avg_pool2d(x, 2).flatten(1)[..., None] * torch.arange(3.0)
        return torch.cat([torch.full_like(means[:, :1], 9.0), means], 1)


class Windows(nn.Module):
    """The same, ``(n, rows, columns, channels)``, without that token."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2).permute(0, 2, 3, 1) * torch.arange(3.0)


@pytest.mark.parametrize(("kind", "shape"), [(Tokens, (17, 3)), (Windows, (4, 4, 3))])
def test_patches_and_windows_have_channels_and_places_too(kind: type[nn.Module], shape: tuple[int, ...]):
    units = math.prod(shape)
    network = classifier(nn.Sequential(kind(), nn.Flatten(), nn.Linear(units, 3)), 8)
    network.mean, network.std = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    clean = np.zeros((1, 8, 8), np.float32)
    attacked = clean.copy()
    attacked[:, 6:, :2] = 0.8  # the patch in the lower left corner, one of 16
    (channels,) = ChannelChanges(clean, attacked, "network.0").pieces(network)
    assert [one.channel for one in channels] == [2, 1, 0]
    assert channels[0].attacked - channels[0].clean == pytest.approx(2 * 0.8 / 16)
    (peaks,) = [x for x in ShelfPeaks(attacked[None], "network.0").pieces(network) if isinstance(x, Peaks)]
    assert float(peaks.values[2]) == pytest.approx(1.6) and peaks.places[2].tolist() == [7 / 8, 1 / 8]
    assert list(Seen(torch.rand(1, 8, 8).numpy(), "network.0").pieces(network)) == [2]
    assert has_places(shape) and not has_places((units,)) and has_places((3, 8, 8))


def test_a_place_sees_as_much_as_its_convolutions_reach():
    network, picture = planted(), torch.rand(1, 8, 8).numpy()
    assert list(Seen(picture, "network.0").pieces(network)) == [4]  # 3 pixels, around the middle
    assert list(Seen(picture, "network.3").pieces(network)) == [8]  # single units see all
