"""What a network learns from adversarial pictures with the labels that they imitate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import experiments
from engine import intervals
from experiments.cache import Store
from experiments.core import Result, run
from experiments.datasets.digit_sets import SMALL
from experiments.ilyas2019.features import KINDS, NEXT, NEXT_NOISE, RANDOM, TRUE, Features, FeaturesFigures
from experiments.ilyas2019.photo_features import PhotoFeatures
from experiments.ilyas2019.wrong_labels import (
    Data,
    SmallNet,
    adversarial,
    next_targets,
    noisy,
    random_targets,
    right,
    train,
)
from experiments.toolkit.image_sheets import read


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result[FeaturesFigures]:
    """Return the figures of two networks on scikit-learn's digits."""
    folder: Path = tmp_path_factory.mktemp("features")
    experiment = Features(data=SMALL, n=200, networks=2, passes=8, steps=10, tests=100)
    return run(experiment, Store(folder))


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digit_net(generator: torch.Generator) -> SmallNet:
    return SmallNet((1, 28), (16, 32), 10, generator)


def test_pictures_imitate_their_targets_within_the_length() -> None:
    net, x, targets = (
        digit_net(chance()),
        torch.rand(40, 1, 28, 28, generator=chance(1)),
        torch.arange(40) % 10,
    )
    near = adversarial(net, x, targets, epsilon=3.0, steps=30)
    assert float((near - x).flatten(1).norm(dim=1).max()) <= 3.0 + 1e-4
    assert near.min() >= 0 and near.max() <= 1
    agree = [right(net, pictures, targets) for pictures in (x, near)]
    assert agree[1] > 0.9 > 0.3 > agree[0]


def test_noise_has_its_length() -> None:
    x = torch.zeros(30, 1, 28, 28)  # half of what is added is cut off
    x[:, :, 10:18] = 0.8
    noise = noisy(x, 3.0, chance()) - x
    assert torch.allclose(noise.flatten(1).norm(dim=1), torch.tensor(3.0), rtol=1e-3)
    assert (x + noise).min() >= 0 and (x + noise).max() <= 1
    assert abs(float(torch.nn.functional.cosine_similarity(noise[0].flatten(), noise[1].flatten(), 0))) < 0.7


def test_targets() -> None:
    y = torch.arange(10).repeat(1000)
    assert next_targets(y, 10, chance()).tolist()[:10] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    drawn = random_targets(y, 10, chance())
    table = torch.zeros(10, 10).index_put_((y, drawn), torch.ones(len(y)), accumulate=True)
    assert table.min() > 60 and table.max() < 140  # what a picture shows says nothing of its label


def test_only_what_the_labels_agree_with_is_learnt() -> None:
    """Pictures with a large mark of their class and a faint one of their label teach the faint one."""
    y, t = (torch.randint(10, (1500,), generator=chance(seed)) for seed in (1, 2))

    def pictures(large: torch.Tensor, faint: torch.Tensor) -> torch.Tensor:
        x = torch.full((len(large), 1, 28, 28), 0.5)
        x[torch.arange(len(large)), 0, 2 + large, :13] = 1.0
        x[torch.arange(len(large)), 0, 2 + 2 * faint, 14:] += 0.15
        return x

    net = digit_net(chance(3))
    train(net, Data(pictures(y, t), t, pictures(y, y), y), 15, chance(4))
    assert right(net, pictures(y, y), y) > 0.9


def test_figures_are_of_what_was_learnt(result: Result[FeaturesFigures]) -> None:
    kinds = result.figures.kinds
    assert list(kinds) == list(KINDS) and all(kind.test.n == 200 for kind in kinds.values())
    assert kinds[TRUE].test.value > 0.8 and kinds[TRUE].length == 0
    assert kinds[RANDOM].fooled > 0.8 and 0 < kinds[RANDOM].length <= 3.0
    assert kinds[NEXT_NOISE].next.value > 0.5 > kinds[NEXT_NOISE].test.value
    for name in (NEXT, NEXT_NOISE):
        for example in kinds[name].examples:
            assert example.label == (example.shows + 1) % 10
            assert not np.array_equal(read(example.original), read(example.picture))


def test_claims_follow_the_figures(result: Result[FeaturesFigures]) -> None:
    figures, experiment = result.figures, Features()

    def with_share(name: str, right: int) -> FeaturesFigures:
        kind = replace(figures.kinds[name], test=intervals.share(right, 600))
        return replace(figures, kinds={**figures.kinds, name: kind})

    guessing, half = list(experiment.claims(figures))[0], list(experiment.claims(figures))[2]
    assert not experiment.claims(with_share(RANDOM, 66))[guessing]  # 11 %: chance may do that
    assert experiment.claims(with_share(RANDOM, 120))[guessing]
    assert not experiment.claims(with_share(RANDOM, 310))[half]
    assert experiment.claims(with_share(RANDOM, 360))[half]


def test_the_shipped_result_has_mnist_and_three_networks() -> None:
    shipped = experiments.shipped(Features)
    assert shipped is not None and shipped.n == 10_000
    assert shipped.figures.kinds[RANDOM].test.n == 30_000
    assert shipped.claims == Features().claims(shipped.figures)


def test_the_shipped_result_of_photos_holds_none_of_them() -> None:
    shipped = experiments.shipped(PhotoFeatures)
    assert shipped is not None and shipped.figures.classes == ["cat", "dog", "panda"]
    assert all(kind.test.n == 750 and not kind.examples for kind in shipped.figures.kinds.values())
    assert shipped.claims == PhotoFeatures().claims(shipped.figures)
