"""How much a layer can stretch a difference: operator norms, exact or as bounds.

Szegedy et al. 2013 (https://arxiv.org/abs/1312.6199), section 4.3, with three corrections: the factor of a
convolution with stride s is 1 / s (two dimensions), not 1 / s^2; frequencies are taken as fine as the
feature map, not as the kernel; and pooling over windows that overlap is no contraction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor, nn
from torch.nn import functional

from models.bvlc_googlenet import ResponseNorm

LARGE = 1000
ROUNDS = 5
ELEMENTS = 4_000_000

SLOPES: dict[type[nn.Module], float] = {
    nn.Identity: 1,
    nn.Flatten: 1,
    nn.Dropout: 1,
    nn.Dropout2d: 1,
    nn.ReLU: 1,
    nn.ReLU6: 1,
    nn.Hardtanh: 1,
    nn.Tanh: 1,
    nn.Sigmoid: 1 / 4,
    nn.Hardsigmoid: 1 / 6,
    nn.Hardswish: 3 / 2,
    # The largest slopes of x sigmoid(x) and x Phi(x), rounded up.
    nn.SiLU: 1.0999,
    nn.GELU: 1.1290,
    # diag(p) - p p^T has no eigenvalue above 1/2.
    nn.Softmax: 1 / 2,
}


class Norm(NamedTuple):
    """``value``: no difference grows by a larger factor in Euclidean length. ``how``: "exact" where some
    difference grows by it, "bound" where none may; ``words`` say how it was found."""

    value: float
    how: str
    words: str


def norm(module: nn.Module, shape: tuple[int, ...]) -> Norm | None:
    """Return the operator norm of a layer that is given ``shape`` (without the batch), None for one that
    this file does not know. Expects evaluation mode."""
    if isinstance(module, nn.Linear):
        return Norm(spectral(module.weight), "exact", "largest singular value")
    if isinstance(module, nn.Conv2d):
        return Norm(convolution(module, shape), "bound", "largest over all frequencies of the padded map")
    if isinstance(module, nn.BatchNorm2d):
        return Norm(batch_norm(module), "exact", "largest scale of a channel")
    if isinstance(module, nn.MaxPool2d):
        return Norm(max_pool(module, shape), "exact", "square root of how many windows share a pixel")
    if isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
        return Norm(average_pool(module, shape), "exact", "product of both axes' singular values")
    if isinstance(module, ResponseNorm):
        return Norm(response_norm(1, 0.75, 5), "bound", "diagonal plus neighbours")
    if isinstance(module, nn.LocalResponseNorm):
        bound = response_norm(module.k, module.beta, module.size)
        return Norm(bound, "bound", "diagonal plus neighbours")
    slope = SLOPES.get(type(module))
    return None if slope is None else Norm(slope, "bound", "steepest slope")


def spectral(weight: Tensor) -> float:
    """Return the largest singular value of a matrix, in double precision (Lanczos for large ones)."""
    weight = weight.detach().double()
    if min(weight.shape) <= LARGE:
        return float(torch.linalg.matrix_norm(weight, 2))
    start = np.random.default_rng(0).standard_normal(min(weight.shape))
    return float(svds(weight.numpy(), k=1, tol=1e-10, v0=start, return_singular_vectors=False)[0])


def batch_norm(module: nn.BatchNorm2d) -> float:
    """Return the largest scale that a frozen batch norm gives a channel."""
    variance, scale = module.running_var, module.weight
    if variance is None:
        raise ValueError("Expected a batch norm with running statistics, got one without.")
    gain = (variance.double() + module.eps).rsqrt()
    return float((gain if scale is None else gain * scale.detach().double().abs()).max())


def convolution(module: nn.Conv2d, shape: tuple[int, ...]) -> float:
    """Return a bound for a convolution with zero padding on a map ``(c, h, w)``.

    Zeros around the map make it part of a circular convolution on a map large enough that nothing wraps
    onto anything, whose norm is `circular`. Raises ValueError for padding with anything but zeros.
    """
    if module.padding_mode != "zeros":
        raise ValueError(f"Expected padding with zeros, got {module.padding_mode}.")
    return circular(module.weight, module.stride, grid(module, shape), module.groups, module.dilation)


def grid(module: nn.Conv2d, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the smallest map, a multiple of the stride, around which a convolution may wrap unnoticed."""
    sides = []
    for axis in (0, 1):
        span = module.dilation[axis] * (module.kernel_size[axis] - 1) + 1
        stride, side = module.stride[axis], shape[1 + axis]
        padding = _padding(module, axis, span)
        count = (side + sum(padding) - span) // stride + 1
        # A window begins at -padding, which wraps to before the end, and the last one ends at reach.
        reach = (count - 1) * stride + span - padding[0]
        sides.append(math.ceil(max(side + padding[0], reach) / stride) * stride)
    return sides[0], sides[1]


def _padding(module: nn.Conv2d, axis: int, span: int) -> tuple[int, int]:
    if module.padding == "valid":
        return 0, 0
    if module.padding == "same":
        return (span - 1) // 2, span - 1 - (span - 1) // 2
    return int(module.padding[axis]), int(module.padding[axis])


def circular(
    weight: Tensor,
    stride: tuple[int, ...] = (1, 1),
    size: tuple[int, ...] = (28, 28),
    groups: int = 1,
    dilation: tuple[int, ...] = (1, 1),
) -> float:
    """Return the exact norm of a circular convolution on a map of ``size``, a multiple of the stride.

    ``weight``: ``(out, in / groups, kh, kw)``. The Fourier transform of the map makes it one matrix per
    frequency of the output, over all input frequencies that the stride folds onto it, times 1 / stride
    per pair of axes (Sedghi, Gupta and Long, https://arxiv.org/abs/1805.10408, for stride 1).
    """
    if weight.shape[2:] == (1, 1):
        size = (stride[0], stride[1])  # the same at every frequency
    rows, columns = size[0] // stride[0], size[1] // stride[1]
    # Frequencies k and -k have conjugate matrices, so half the columns will do.
    every = torch.cartesian_prod(torch.arange(rows), torch.arange(columns // 2 + 1))
    folds = torch.cartesian_prod(torch.arange(stride[0]) * rows, torch.arange(stride[1]) * columns)
    places = torch.cartesian_prod(torch.arange(weight.shape[2]), torch.arange(weight.shape[3]))
    turns = places * torch.tensor(dilation) / torch.tensor(size, dtype=torch.float64)
    kernel = weight.detach().double().flatten(2).permute(2, 0, 1).flatten(1).to(torch.complex128)
    out = weight.shape[0] // groups

    def symbol(which: Tensor) -> Tensor:
        """Return the matrices ``(m, groups, out, in * folds)`` at some frequencies."""
        at = (every[which, None] + folds).flatten(0, 1).double()
        transform = torch.exp(-2j * math.pi * (at @ turns.T)) @ kernel
        many: Tensor = (
            transform.view(len(which), len(folds), groups, out, -1).permute(0, 2, 3, 4, 1).flatten(3)
        )
        return many

    return largest(symbol, len(every), kernel[0].numel() * len(folds)) / math.sqrt(stride[0] * stride[1])


def largest(matrices: Callable[[Tensor], Tensor], count: int, numel: int) -> float:
    """Return the largest singular value among ``count`` stacks of matrices, of ``numel`` numbers each.

    ``matrices`` makes those of some indices. An upper bound of each stack, the Frobenius norm of a high
    power of A A^T (Gram iteration, Delattre et al., https://arxiv.org/abs/2305.16173), says which may hold
    the largest; only those are decomposed.
    """
    parts = torch.arange(count).split(max(1, ELEMENTS // numel))
    bound = torch.cat([_gram_bound(matrices(part)) for part in parts])
    best = 0.0
    for index in bound.argsort(descending=True).split(max(1, min(4, ELEMENTS // numel))):
        if float(bound[index].max()) <= best:
            break
        best = max(best, float(torch.linalg.matrix_norm(matrices(index), 2).max()))
    return best


def _gram_bound(many: Tensor) -> Tensor:
    """Return ``(m,)`` upper bounds of the largest singular value in each stack ``(m, groups, a, b)``."""
    many = many.to(torch.complex64)  # twice as fast; the factor at the end makes good what that rounds
    power = many @ many.mH if many.shape[-2] <= many.shape[-1] else many.mH @ many
    log, exponent = torch.zeros(power.shape[:2]), 0.5
    for _ in range(ROUNDS):
        size = torch.linalg.matrix_norm(power).clamp(min=1e-30)
        log, power = log + exponent * size.log(), power / size[..., None, None]
        power, exponent = power @ power, exponent / 2
    last = torch.linalg.matrix_norm(power).clamp(min=1e-30)
    bound: Tensor = (log + exponent * last.log()).exp().amax(1) * 1.0001
    return bound


def max_pool(module: nn.MaxPool2d, shape: tuple[int, ...]) -> float:
    """Return sqrt(how many windows share a pixel): 1 where they do not overlap, 2 for 3x3 with stride 2.

    A change of one pixel that is the maximum of all its windows is copied so often, and no change grows
    more, since each output moves by no more than the pixel of its window that moves most.
    """
    shared = 1
    for axis in (0, 1):
        kernel, stride, padding, dilation = (
            _at(value, axis) for value in (module.kernel_size, module.stride, module.padding, module.dilation)
        )
        count = functional.max_pool1d(
            torch.zeros(1, shape[1 + axis]), kernel, stride, padding, dilation, module.ceil_mode
        ).shape[1]
        begin = torch.arange(count)[:, None] * stride - padding
        seen = (begin + torch.arange(kernel) * dilation).flatten()
        seen = seen[(seen >= 0) & (seen < shape[1 + axis])]
        shared *= int(seen.bincount().max())
    return math.sqrt(shared)


def average_pool(module: nn.AvgPool2d | nn.AdaptiveAvgPool2d, shape: tuple[int, ...]) -> float:
    """Return the norm of averaging, which acts on each axis by itself."""
    if isinstance(module, nn.AvgPool2d) and module.divisor_override:
        raise ValueError("Expected an average, got a sum that is divided by something else.")
    product = 1.0
    for axis in (0, 1):
        one = torch.eye(shape[1 + axis], dtype=torch.float64)[:, None]
        if isinstance(module, nn.AdaptiveAvgPool2d):
            output: int | None | tuple[int | None, ...] = module.output_size
            size = output if output is None or isinstance(output, int) else output[axis]
            matrix = functional.adaptive_avg_pool1d(one, size or shape[1 + axis])
        else:
            kernel, stride, padding = (
                _at(v, axis) for v in (module.kernel_size, module.stride, module.padding)
            )
            matrix = functional.avg_pool1d(
                one, kernel, stride, padding, module.ceil_mode, module.count_include_pad
            )
        product *= spectral(matrix[:, 0])
    return product


def _at(value: int | tuple[int, ...], axis: int) -> int:
    return value if isinstance(value, int) else value[axis]


def response_norm(k: float, beta: float, size: int) -> float:
    """Return a bound for x / (k + a sum x^2)^beta over ``size`` neighbouring channels.

    The derivative is a diagonal, at most k^-beta, less a matrix with ``size`` entries in each row and
    column. With s = k + a sum x^2 each of its rows is at most 2 beta (s - k) s^(-beta - 1) long, which is
    largest at s = k (beta + 1) / beta, and sqrt(size) times that bounds the matrix. (The paper's k^-beta
    is right where all channels are neighbours of all: then the derivative is symmetric.)
    """
    return math.pow(k, -beta) * (1 + math.sqrt(size) * 2 * math.pow(beta / (beta + 1), beta + 1))


def power(
    layer: Callable[[Tensor], Tensor], shape: tuple[int, ...], rounds: int = 30, seed: int = 0
) -> float:
    """Return how much the power method makes a linear layer (apart from its bias) stretch: never more
    than its norm, and, in the limit, the norm. The adjoint is that of automatic differentiation."""
    at = torch.randn((1, *shape), generator=torch.Generator().manual_seed(seed))
    zero, size = torch.zeros(1, *shape), 0.0
    with torch.no_grad():
        bias = layer(zero)
    for _ in range(rounds):
        at = (at / at.norm().clamp(min=1e-30)).requires_grad_()
        there = layer(at) - bias
        size = float(there.detach().norm())
        (at,) = torch.autograd.grad((there * there.detach()).sum(), at)
    return size
