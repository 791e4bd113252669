"""Operator norms against dense matrices, the power method, and differences that attain them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from experiments.methods import activations, operator_norms


def dense(layer: Any, shape: tuple[int, ...]) -> Tensor:
    """Return the matrix of a linear map of pictures, in double precision."""
    size = math.prod(shape)
    with torch.no_grad():
        zero = layer(torch.zeros(1, *shape, dtype=torch.float64))
        whole = layer(torch.eye(size, dtype=torch.float64).view(size, *shape)) - zero
    matrix: Tensor = whole.flatten(1).T
    return matrix


def wrapped(weight: Tensor, stride: int, dilation: int = 1, groups: int = 1) -> Any:
    """Return the circular convolution."""
    span = [dilation * (k - 1) for k in weight.shape[2:]]

    def layer(x: Tensor) -> Tensor:
        around = functional.pad(x, (0, span[1], 0, span[0]), mode="circular")
        return functional.conv2d(around, weight, stride=stride, dilation=dilation, groups=groups)

    return layer


CASES = [
    # out, in, kernel, stride, side, dilation, groups
    *((o, i, k, s, 12, 1, 1) for (o, i), k, s in itertools.product([(4, 3), (2, 5)], [3, 5], [1, 2, 4])),
    (1, 1, 3, 1, 7, 1, 1),
    (3, 2, 1, 2, 6, 1, 1),
    (4, 4, 3, 1, 8, 1, 4),
    (6, 4, 3, 2, 8, 1, 2),
    (3, 2, 3, 1, 9, 2, 1),
    (2, 2, 2, 4, 8, 1, 1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_circular_convolution_has_the_norm_of_its_matrix(case):
    out, before, kernel, stride, side, dilation, groups = case
    rng = torch.Generator().manual_seed(0)
    weight = torch.randn(out, before // groups, kernel, kernel, generator=rng, dtype=torch.float64)
    matrix = dense(wrapped(weight, stride, dilation, groups), (before, side, side))
    computed = operator_norms.circular(weight, (stride,) * 2, (side,) * 2, groups, (dilation,) * 2)
    assert computed == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-6)


def test_sides_and_strides_may_differ():
    weight = torch.randn(3, 2, 3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def layer(x: Tensor) -> Tensor:
        return functional.conv2d(functional.pad(x, (0, 1, 0, 2), mode="circular"), weight, stride=(1, 2))

    matrix = dense(layer, (2, 5, 8))
    computed = operator_norms.circular(weight, (1, 2), (5, 8))
    assert computed == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-6)


def test_the_factor_that_the_paper_prints_is_too_small():
    """4 x 3 x 5 x 5, stride 4: with 1 / stride^2 in place of 1 / stride it is a quarter of the truth."""
    weight = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    true = float(torch.linalg.matrix_norm(dense(wrapped(weight, 4), (3, 12, 12)), 2))
    computed = operator_norms.circular(weight, (4, 4), (12, 12))
    assert computed == pytest.approx(true, rel=1e-6) and computed / 4 < 0.3 * true
    coarse = operator_norms.circular(weight[:, :, :3, :3], (1, 1), (3, 3))
    assert coarse < operator_norms.circular(weight[:, :, :3, :3], (1, 1), (32, 32)), (
        "frequencies of the kernel only"
    )


PADDED = [*itertools.product([1, 2, 4], [0, 1, 3, "valid"]), (1, "same")]


@pytest.mark.parametrize(("stride", "padding"), PADDED)
@pytest.mark.parametrize("side", [9, 12])
def test_with_zeros_around_the_map_it_is_a_bound(stride, padding, side):
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 5, stride, padding).double()
    true = float(torch.linalg.matrix_norm(dense(layer, (2, side, side)), 2))
    computed = operator_norms.norm(layer, (2, side, side))
    assert computed is not None and true <= computed.value * (1 + 1e-9) < 2 * true and computed.how == "bound"


def test_the_bound_of_a_wide_kernel_holds_too():
    """A kernel of ones on a small map, where what wraps would count twice or not at all."""
    for kernel, padding, side in ((5, 2, 3), (5, 4, 2), (3, 2, 1), (7, 3, 8)):
        layer = nn.Conv2d(1, 1, kernel, 1, padding).double()
        nn.init.ones_(layer.weight)
        true = float(torch.linalg.matrix_norm(dense(layer, (1, side, side)), 2))
        assert true <= operator_norms.convolution(layer, (1, side, side)) * (1 + 1e-9)


def test_padding_with_something_else_is_refused():
    with pytest.raises(ValueError, match="Expected padding with zeros"):
        operator_norms.norm(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 8, 8))


def placed(name: str) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Return each layer of a real network and the shape that it is given."""
    model, layers = models.load(name), {}

    def watch(layer: activations.Layer) -> None:
        layers[layer.name] = (layer.module, tuple(layer.before.shape[1:]))

    activations.observe(model, activations.blank(model), watch)
    return layers


def check_by_power(conv: nn.Conv2d, shape: tuple[int, ...], rounds: int) -> None:
    size = operator_norms.grid(conv, shape)
    exact = operator_norms.circular(conv.weight, conv.stride, size, conv.groups, conv.dilation)
    span = [k - 1 for k in conv.kernel_size]

    def circular(x: Tensor) -> Tensor:
        around = functional.pad(x, (0, span[1], 0, span[0]), mode="circular")
        return functional.conv2d(around, conv.weight, stride=conv.stride, groups=conv.groups)

    assert operator_norms.power(circular, (shape[0], *size), rounds) == pytest.approx(exact, rel=0.01)
    bound = operator_norms.convolution(conv, shape)
    assert 0.5 * bound < operator_norms.power(conv, shape, rounds) <= bound * (1 + 1e-5)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
def test_a_real_digit_network_by_the_power_method(layer):
    conv, shape = placed("lenet")[layer]
    assert isinstance(conv, nn.Conv2d)
    check_by_power(conv, shape, 200)


@pytest.mark.parametrize("layer", ["features.0.0", "features.4.conv.1.0", "features.18.0"])
def test_a_real_photo_network_by_the_power_method(shared, layer):
    """A strided first layer, a layer of single channels, and a 1 x 1 layer of 1280."""
    shared("weights/mobilenet_v2.safetensors")
    conv, shape = placed("mobilenet_v2")[layer]
    assert isinstance(conv, nn.Conv2d)
    check_by_power(conv, shape, 40)


def test_fully_connected_layers_by_the_power_method_and_both_ways_of_finding_it(monkeypatch):
    layer = placed("lenet")["fc1"][0]
    assert isinstance(layer, nn.Linear)
    exact = operator_norms.spectral(layer.weight)
    assert operator_norms.power(layer, (800,), 300) == pytest.approx(exact, rel=0.01)
    monkeypatch.setattr(operator_norms, "LARGE", 10)
    assert operator_norms.spectral(layer.weight) == pytest.approx(exact, rel=1e-6)


POOLS = [
    (nn.MaxPool2d(2), 1.0),
    (nn.MaxPool2d(3, 2), 2.0),
    (nn.MaxPool2d(3, 2, ceil_mode=True), 2.0),
    (nn.MaxPool2d(3, 1, 1), 3.0),
    (nn.MaxPool2d(2, 4), 1.0),
    (nn.MaxPool2d((3, 2), (1, 2)), math.sqrt(3)),
]


@pytest.mark.parametrize(("pool", "wanted"), POOLS, ids=str)
def test_pooling_over_windows_that_overlap_stretches_and_the_bound_is_attained(pool, wanted):
    computed = operator_norms.norm(pool, (1, 9, 9))
    assert computed is not None and computed.value == pytest.approx(wanted) and computed.how == "exact"
    ratios = []
    for y, x in itertools.product(range(9), range(9)):
        low = torch.zeros(1, 1, 9, 9)
        low[0, 0, y, x] = 1
        high = low * 1.5
        ratios.append(float((pool(high) - pool(low)).norm() / (high - low).norm()))
    assert max(ratios) == pytest.approx(wanted)
    a, b = torch.randn(2, 300, 1, 9, 9, generator=torch.Generator().manual_seed(0)).unbind()
    grown = (pool(a) - pool(b)).flatten(1).norm(dim=1) / (a - b).flatten(1).norm(dim=1)
    assert grown.max() <= wanted


@pytest.mark.parametrize(
    "pool",
    [
        nn.AvgPool2d(2),
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((3, 5)),
        nn.AdaptiveAvgPool2d((None, 2)),
    ],
    ids=str,
)
def test_averages_have_the_norm_of_their_matrix(pool):
    computed = operator_norms.norm(pool, (2, 7, 8))
    true = float(torch.linalg.matrix_norm(dense(pool, (2, 7, 8)), 2))
    assert computed is not None and computed.value == pytest.approx(true, rel=1e-9)


def jacobian(layer: Any, at: Tensor) -> float:
    matrix = torch.autograd.functional.jacobian(lambda v: layer(v.view_as(at)).flatten(), at.flatten())
    return float(torch.linalg.matrix_norm(matrix, 2))


def test_no_slope_is_steeper_than_its_bound():
    rng = torch.Generator().manual_seed(0)
    line = torch.linspace(-8, 8, 20_001, dtype=torch.float64)
    for kind in operator_norms.SLOPES:
        bound = operator_norms.norm(kind(), (8,))
        assert bound is not None
        if kind is nn.Softmax:
            points = [torch.randn(6, generator=rng, dtype=torch.float64) * s for s in (0.1, 1, 5)]
            points.append(torch.tensor([9.0, 9, -9, -9, -9, -9]).double())
            steepest = max(jacobian(nn.Softmax(0), at) for at in points)
        else:
            there = kind().eval()(line.view(1, 1, 1, -1)).flatten()
            steepest = float((there.diff() / line.diff()).abs().max())
        assert 0.99 * bound.value <= steepest <= bound.value * (1 + 1e-9)


@pytest.mark.parametrize(
    ("k", "beta", "alpha"), [(1.0, 0.75, 1e-4), (2.0, 0.75, 1e-4), (1.0, 1.0, 0.5), (1.0, 0.5, 2.0)]
)
def test_response_normalisation_stays_within_its_bound(k, beta, alpha):
    layer = nn.LocalResponseNorm(5, alpha, beta, k).double()
    bound = operator_norms.norm(layer, (12, 1, 1))
    assert bound is not None and bound.value >= k**-beta
    rng = torch.Generator().manual_seed(0)
    steepest = 0.0
    for scale in (0.01, 1, 3, 30, 100, 300):
        at = scale * torch.randn(1, 12, 1, 1, generator=rng, dtype=torch.float64)
        steepest = max(steepest, jacobian(layer, at), jacobian(layer, at.abs()))
    assert 0.5 * k**-beta < steepest <= bound.value
    from models.bvlc_googlenet import ResponseNorm

    known = operator_norms.norm(ResponseNorm(12), (12, 1, 1))
    assert known is not None and known.value == pytest.approx(operator_norms.response_norm(1, 0.75, 5))


def test_batch_norm_is_its_largest_scale():
    layer = nn.BatchNorm2d(3).eval()
    layer.running_var = torch.tensor([1.0, 0.25, 4])
    layer.weight.data = torch.tensor([1.0, -2, 3])
    computed = operator_norms.norm(layer, (3, 2, 2))
    true = float(torch.linalg.matrix_norm(dense(layer.double(), (3, 2, 2)), 2))
    assert (
        computed is not None
        and computed.value == pytest.approx(true, rel=1e-6)
        and true == pytest.approx(4, rel=1e-4)
    )


def test_a_layer_that_is_not_known_has_no_norm():
    assert operator_norms.norm(nn.LayerNorm(3), (3,)) is None
