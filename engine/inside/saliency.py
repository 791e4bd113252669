"""Which parts of a picture speak for a class, by several methods, and the same on shuffled weights.

- Integrated gradients: Sundararajan, Taly and Yan 2017, https://arxiv.org/abs/1703.01365, from the mean
  colour that the network was trained with, by the Gauss-Legendre rule. Their sum is the difference of the
  logits (completeness).
- Grad-CAM: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, on the last convolution that still has
  places.
- Occlusion: Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901: how much the logit falls when a square
  is made black.
- Attention rollout and gradient x attention, for networks that pass patches on by attention: see
  `engine.inside.attention`.
- Shuffled weights: the model parameter randomisation test of Adebayo et al. 2018,
  https://arxiv.org/abs/1810.03292. A map that stays the same when all that the network learnt is gone does
  not show what it learnt.

Each is computed in pieces; tests compare the first three with captum (Kokhlikyan et al. 2020), which computes
at once.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy  # not its stats, which take a second: scipy loads them when they are first used
import torch
from torch import Tensor
from torch.nn import functional

from engine.inside.attention import attended, gradient_attention, has_meaning, rollout
from engine.inside.pace import Pace, Progress
from engine.inside.recording import last_convolution, recording, single
from engine.run import Floats
from errors import BadSetting
from models.core import Classifier

INTEGRATED, GRAD_CAM, OCCLUSION = "integrated_gradients", "grad_cam", "occlusion"
ROLLOUT, GRADIENT_ATTENTION = "attention_rollout", "gradient_attention"
METHODS = (GRAD_CAM, INTEGRATED, OCCLUSION, ROLLOUT, GRADIENT_ATTENTION)
BY_ATTENTION = (ROLLOUT, GRADIENT_ATTENTION)
NO_CLASS = (ROLLOUT,)
"""Methods whose maps are the same for every class."""
NODES = 32
"""Points of the Gauss-Legendre rule between the baseline and the picture."""
SHUFFLE_SEED = 0
GRID = 64
"""Cells of a map along a side at most."""
COARSEST = 16
SQUARES = 7
"""Squares that are made black, one after the other, along a side."""
REGION = 0.2
"""The part of a picture that counts as where a class was seen: the cells that speak most for it."""
NO_CONVOLUTION = (
    "Grad-CAM has no meaning on this network: it has no convolution near its end whose answers still have "
    "places. Take integrated gradients or occlusion."
)
PAYS_ATTENTION = (
    "Grad-CAM has no meaning on this network: it cuts the picture into patches and passes them on by "
    "attention, and no convolution comes after. Take attention rollout instead, or gradient x attention, "
    "which tells classes apart."
)


@dataclass(frozen=True)
class SaliencyMap:
    """What speaks for (above 0) and against (below 0) the class ``label``.

    ``values`` ``(rows, columns)`` float32, in logits: of integrated gradients the sum over the pixels of a
    cell, of occlusion the mean, of Grad-CAM what the last convolution gives there and of gradient x
    attention what the patches' attention does, both never below 0. Of attention rollout they are shares of
    the answer, and the same for every class.
    ``logit``: of the class at the picture; ``baseline``: of the mean colour, NaN for methods that need none;
    ``total``: sum of all attributions. ``layer``: the convolution of Grad-CAM, else "". ``network``: the
    title of the one network that was asked, where several are taken as one and the method looks at layers,
    else "".
    """

    method: str
    label: int
    values: Floats
    logit: float
    baseline: float
    total: float
    layer: str = ""
    network: str = ""

    @property
    def gap(self) -> float:
        """Return by how much the sum of attributions misses the difference of the logits."""
        return self.total - (self.logit - self.baseline)


@dataclass(frozen=True)
class Saliency:
    """A probe: the map of ``method`` (one of `METHODS`) at ``picture`` ``(c, size, size)`` in [0, 1], for the
    class ``label``; ``shuffled``: on a copy whose weights were shuffled, tensor by tensor, with ``seed``."""

    picture: Floats
    label: int
    method: str
    shuffled: bool = False
    nodes: int = NODES
    seed: int = SHUFFLE_SEED

    def pieces(self, network: Classifier) -> Iterator[Progress | SaliencyMap]:
        """Yield how far it is, and at the end the map; raises `errors.BadSetting` for a method that has no
        meaning on this network: Grad-CAM without a convolution near its end, the last two without attention
        over the whole picture."""
        picture = torch.from_numpy(self.picture).to(network.mean.device)
        layer = last_convolution(single(network), picture) if self.method == GRAD_CAM else ""
        if self.method == GRAD_CAM and not layer:
            raise BadSetting(PAYS_ATTENTION if has_meaning(single(network), picture) else NO_CONVOLUTION)
        yield Progress(0, 1)
        asked = network
        if self.shuffled:
            asked = copy.deepcopy(network)
            for done, total in shuffle(asked, self.seed):
                yield Progress(done, total)
        if self.method == GRAD_CAM:
            yield grad_cam(asked, picture, self.label, layer)
        elif self.method == OCCLUSION:
            yield from occlusion(asked, picture, self.label)
        elif self.method in BY_ATTENTION:
            yield by_attention(asked, picture, self.label, self.method)
        else:
            yield from integrated_gradients(asked, picture, self.label, self.nodes)


@dataclass(frozen=True)
class Methods:
    """A probe: the names of those of `METHODS` that have a meaning on a network, as one tuple; ``picture``
    ``(c, size, size)`` in [0, 1]: what it is asked about to see that."""

    picture: Floats

    def pieces(self, network: Classifier) -> Iterator[tuple[str, ...]]:
        """Yield the names."""
        picture, one = torch.from_numpy(self.picture).to(network.mean.device), single(network)
        without: tuple[str, ...] = () if last_convolution(one, picture) else (GRAD_CAM,)
        without += () if has_meaning(one, picture) else BY_ATTENTION
        yield tuple(name for name in METHODS if name not in without)


def shuffle(network: Classifier, seed: int) -> Iterator[tuple[int, int]]:
    """Put the values of each tensor of weights in another order, drawn with ``seed``, and yield how many of
    how many are done."""
    generator = torch.Generator().manual_seed(seed)
    weights = list(network.parameters())
    for index, tensor in enumerate(weights):
        order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
        with torch.no_grad():
            tensor.copy_(tensor.reshape(-1)[order].view(tensor.shape))
        yield index + 1, len(weights)


def integrated_gradients(
    network: Classifier, picture: Tensor, label: int, nodes: int = NODES
) -> Iterator[Progress | SaliencyMap]:
    """Yield the progress, then the map of integrated gradients."""
    start = baseline(network, picture)
    places, weights = _rule(nodes, picture)
    total, pace = torch.zeros_like(picture, dtype=torch.float64), Pace()
    for part in pace.parts(nodes):
        at, share = places[part].view(-1, 1, 1, 1), weights[part].view(-1, 1, 1, 1)
        with pace.piece(len(at)):
            ask = partial(_gradients, network, label=label)
            grads = pace.in_parts(ask, start + at * (picture - start))
            total += (share * grads.double()).sum(0)
        yield Progress(part.stop, nodes)
    attributions = total * (picture - start)
    ends = torch.stack([picture, start])
    logit, other = pace.in_parts(partial(_logits, network, label=label), ends).tolist()
    values = blocks(attributions.sum(0), sums=True)
    yield SaliencyMap(INTEGRATED, label, values, logit, other, float(attributions.sum()))


def baseline(network: Classifier, picture: Tensor) -> Tensor:
    """Return the picture of the mean colour that a network was trained with, of the shape of ``picture``;
    where several are taken as one it is black."""
    return network.mean[0].expand_as(picture).clone()


def _rule(nodes: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return places in (0, 1) and weights ``(nodes,)`` of the Gauss-Legendre rule."""
    at, weights = np.polynomial.legendre.leggauss(nodes)
    both = torch.from_numpy(np.stack([(1 + at) / 2, weights / 2])).to(like.device)
    return both[0].to(like.dtype), both[1]


def grad_cam(network: Classifier, picture: Tensor, label: int, layer: str) -> SaliencyMap:
    """Return the Grad-CAM map of the convolution called ``layer``, resampled to the grid of the others."""
    one, answers = single(network), list[Tensor]()

    def take(name: str, given: tuple[Any, ...], answer: Tensor) -> Tensor:
        answers.append(answer)
        return answer.clone()  # what follows may write into it

    with recording({layer: one.get_submodule(layer)}, take), torch.enable_grad():
        logit = one(picture[None].clone().requires_grad_())[0, label]
    (grad,) = torch.autograd.grad(logit, answers[-1])
    weighted = (grad.mean((2, 3), keepdim=True) * answers[-1]).sum(1, keepdim=True).relu().detach()
    fine, value = _resampled(weighted[0, 0], picture.shape[-1]), float(logit.detach())
    title = one.card.title if one is not network else ""
    return SaliencyMap(GRAD_CAM, label, fine, value, math.nan, float(weighted.sum()), layer, title)


def by_attention(network: Classifier, picture: Tensor, label: int, method: str) -> SaliencyMap:
    """Return the map of one of `BY_ATTENTION`, resampled to the grid of the others."""
    one = single(network)
    answer = attended(one, picture, label)
    patches = rollout(answer) if method == ROLLOUT else gradient_attention(answer)
    fine, title = _resampled(patches, picture.shape[-1]), one.card.title if one is not network else ""
    return SaliencyMap(method, label, fine, answer.logit, math.nan, float(patches.sum()), network=title)


def _resampled(values: Tensor, size: int) -> Floats:
    """Return ``values`` ``(rows, columns)`` of a picture of ``size`` pixels on the grid of its maps."""
    side = _grid(size)[0]
    wide = functional.interpolate(values[None, None], size=(side, side), mode="bilinear", align_corners=False)
    resampled: Floats = wide[0, 0].cpu().float().numpy()
    return resampled


def occlusion(network: Classifier, picture: Tensor, label: int) -> Iterator[Progress | SaliencyMap]:
    """Yield the progress, then the map of occlusion."""
    boxes, pace = squares(picture.shape[-1]), Pace()
    whole = float(_logits(network, picture[None], label)[0])
    falls = torch.zeros(picture.shape[1:], dtype=torch.float64)
    for span in pace.parts(len(boxes)):
        part = boxes[span]
        with pace.piece(len(part)):
            hidden = picture.repeat(len(part), 1, 1, 1)
            for row, (rows, columns) in enumerate(part):
                hidden[row, :, rows, columns] = 0
            logits = pace.in_parts(partial(_logits, network, label=label), hidden).tolist()
        for (rows, columns), logit in zip(part, logits, strict=True):
            falls[rows, columns] = whole - logit
        yield Progress(span.stop, len(boxes))
    yield SaliencyMap(OCCLUSION, label, blocks(falls, sums=False), whole, math.nan, float(falls.sum()))


def squares(size: int) -> list[tuple[slice, slice]]:
    """Return rows and columns of the squares that are made black, one after the other."""
    side = math.ceil(size / SQUARES)
    spans = [slice(start, min(start + side, size)) for start in range(0, size, side)]
    return [(rows, columns) for rows in spans for columns in spans]


def _gradients(network: Classifier, pictures: Tensor, label: int) -> Tensor:
    leaf = pictures.detach().requires_grad_()
    with torch.enable_grad():
        wanted = network(leaf)[:, label].sum()
    (grad,) = torch.autograd.grad(wanted, leaf)
    return grad


def _logits(network: Classifier, pictures: Tensor, label: int) -> Tensor:
    with torch.no_grad():
        logits: Tensor = network(pictures)
    return logits[:, label].cpu()


def _grid(size: int) -> tuple[int, int]:
    """Return the number of cells along a side of ``size`` pixels, and the pixels along a cell's side: such
    that they fit, or else with cells that stick out."""
    fitting = next(pixels for pixels in range(1, size + 1) if size % pixels == 0 and size // pixels <= GRID)
    pixels = fitting if size // fitting >= min(COARSEST, size) else math.ceil(size / GRID)
    return math.ceil(size / pixels), pixels


def blocks(values: Tensor, sums: bool) -> Floats:
    """Return sums or means ``(rows, columns)`` of ``values`` ``(size, size)`` over the cells of the grid."""
    cells, pixels = _grid(values.shape[-1])
    spare = cells * pixels - values.shape[-1]
    padded = functional.pad(values.cpu(), (0, spare, 0, spare))
    parts = padded.view(cells, pixels, cells, pixels)
    cut: Floats = (parts.sum((1, 3)) if sums else parts.mean((1, 3))).float().numpy()
    return cut


def share_inside(reference: Floats, values: Floats) -> float | None:
    """Return which share of what is above 0 in ``values`` lies where ``reference``, a map of the same shape,
    is largest, `REGION` of its cells; None where nothing is above 0."""
    count = max(1, round(REGION * reference.size))
    region = np.argsort(-reference, axis=None, kind="stable")[:count]
    positive = values.clip(min=0).astype(np.float64).ravel()
    total = float(positive.sum())
    return float(positive[region].sum()) / total if total > 0 else None


def likeness(one: Floats, other: Floats) -> float | None:
    """Return the rank correlation (Spearman) of the sizes of two maps of one shape, None where one is the
    same everywhere; Adebayo et al. compare maps by it."""
    first, second = np.abs(one).ravel(), np.abs(other).ravel()
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(scipy.stats.spearmanr(first, second).statistic)
