"""GoogLeNet computed as Caffe computes it on a processor: in single precision, every sum in its order.

On a black picture whole maps are constant, so that each maximum of a pool is a tie, and which neighbour takes
the gradient hangs on the last bit. To meet numbers that were printed with Caffe, as those of the
panda-to-vulture article, the arithmetic must be Caffe's too: convolutions by matrix products
(`models.caffe_exact.atlas`), the running sums of its response normalisation, gradients of branches added in
turn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.bvlc_googlenet import INCEPTIONS, BVLCGoogLeNet
from models.caffe_exact.atlas import product
from models.core import Classifier

SIZE, ALPHA, BETA = 5, 1e-4, 0.75
"""Of the response normalisation ``x / (1 + alpha / size * sum x^2) ** beta`` over ``size`` channels."""


def as_caffe(model: Classifier) -> Classifier:
    """Return a `bvlc_googlenet` that answers, and differentiates, in Caffe's arithmetic.

    Judged by its library and by numbers that were printed with Caffe; Caffe itself was not run beside it.

    Takes one picture at a time, in any precision, and some seconds for it. Raises `TypeError` for another
    network.
    """
    if not isinstance(model.network, BVLCGoogLeNet):
        raise TypeError(f"Expected a network of Caffe's GoogLeNet, got {model.card.name}.")
    exact = Classifier(model.card, CaffeGoogLeNet(model.network)).double()
    # To the last bit of double precision, or the steps of a tenth of a grey level would not be a tenth.
    exact.mean.copy_(torch.tensor(model.card.mean, dtype=torch.float64).view_as(exact.mean))
    exact.std.copy_(torch.tensor(model.card.std, dtype=torch.float64).view_as(exact.std))
    return exact


class CaffeGoogLeNet(nn.Module):
    """From RGB ``(1, 3, 224, 224)`` in 0..255, mean taken away, to logits ``(1, 1000)``, both float64."""

    def __init__(self, network: BVLCGoogLeNet) -> None:
        super().__init__()
        self.weights = {name: value.float() for name, value in network.state_dict().items()}
        first = "conv1_7x7_s2.weight"
        self.weights[first] = self.weights[first].flip(1)  # Caffe's channels are blue, green, red

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = self._conv("conv1_7x7_s2", x.float().flip(1), stride=2, padding=3)
        x = _normalise(_pool(functional.relu(x)))
        x = functional.relu(self._conv("conv2_3x3_reduce", x))
        x = _pool(_normalise(functional.relu(self._conv("conv2_3x3", x, padding=1))))
        for name in INCEPTIONS:
            x = self._inception(f"inception_{name}", x)
            x = _pool(x) if name in ("3b", "4e") else x
        weight, bias = self.weights["loss3_classifier.weight"], self.weights["loss3_classifier.bias"]
        logits: Tensor = _Dense.apply(_Mean.apply(x), weight) + bias
        return logits.double()

    def _inception(self, name: str, x: Tensor) -> Tensor:
        one, three, five, pool = _Branches.apply(x)
        three = functional.relu(self._conv(f"{name}.b3x3_reduce", three))
        five = functional.relu(self._conv(f"{name}.b5x5_reduce", five))
        joined = (
            self._conv(f"{name}.b1x1", one),
            self._conv(f"{name}.b3x3", three, padding=1),
            self._conv(f"{name}.b5x5", five, padding=2),
            self._conv(f"{name}.pool_proj", functional.max_pool2d(pool, 3, 1, 1, ceil_mode=True)),
        )
        out: Tensor = functional.relu(torch.cat(joined, 1))
        return out

    def _conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        maps: Tensor = _Convolution.apply(x, weight, stride, padding)
        return maps.add(bias[:, None, None])


def _pool(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, 2, ceil_mode=True)


def _normalise(x: Tensor) -> Tensor:
    normalised: Tensor = _ResponseNorm.apply(x)
    return normalised


class _Convolution(torch.autograd.Function):
    """A convolution as one matrix product of the filters and all patches."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        """Return ``(1, outputs, h', w')`` of ``x`` ``(1, inputs, h, w)``."""
        ctx.weight, ctx.shape = weight, x.shape
        ctx.window = {"kernel_size": weight.shape[2:], "stride": stride, "padding": padding}
        patches = functional.unfold(x, **ctx.window)[0]
        high = (x.shape[2] + 2 * padding - weight.shape[2]) // stride + 1
        return product(weight.flatten(1), patches).view(1, len(weight), high, -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        """Add what each patch is due where it was cut out, a position of the filter after the other."""
        patches = product(ctx.weight.flatten(1).T, grad[0].flatten(1))
        return functional.fold(patches[None], ctx.shape[2:], **ctx.window), None, None, None


class _ResponseNorm(torch.autograd.Function):
    """Response normalisation whose sums over channels go along: one enters, one leaves."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``x`` ``(1, channels, h, w)`` normalised."""
        share = float(torch.tensor(ALPHA) / SIZE)
        squares = functional.pad(x * x, (0, 0, 0, 0, SIZE // 2, SIZE // 2)) * share
        total, scale = torch.ones_like(x[:, 0]), torch.empty_like(x)
        for channel in range(squares.shape[1]):
            total = total + squares[:, channel]
            if channel >= SIZE:
                total = total - squares[:, channel - SIZE]
            if channel >= SIZE - 1:
                scale[:, channel - SIZE + 1] = total
        power = (scale.double() ** -BETA).float()
        ctx.save_for_backward(x, scale, power)
        return x * power

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the gradient with respect to ``x``."""
        x, scale, power = ctx.saved_tensors
        share = float(2 * torch.tensor(ALPHA) * BETA / SIZE)
        ratios = functional.pad(grad * (x * power) / scale, (0, 0, 0, 0, SIZE // 2, SIZE // 2))
        total, out = torch.zeros_like(x[:, 0]), torch.mul(power, grad)
        for channel in range(SIZE - 1):
            total = total + ratios[:, channel]
        for channel in range(x.shape[1]):
            total = total + ratios[:, channel + SIZE - 1]
            out[:, channel] -= x[:, channel] * total * share
            total = total - ratios[:, channel]
        return out


class _Branches(torch.autograd.Function):
    """One map for four branches, whose gradients are added in their order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, ...]:
        """Return ``x`` four times."""
        return tuple(x.view_as(x) for _ in range(4))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Return the sum."""
        return ((grads[0] + grads[1]) + grads[2]) + grads[3]


class _Mean(torch.autograd.Function):
    """The mean of each map, its places added one after the other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return ``(1, channels)`` of ``(1, channels, h, w)``."""
        ctx.shape, places = x.shape, x.flatten(2)
        total = torch.zeros_like(places[..., 0])
        for index in range(places.shape[2]):
            total = total + places[..., index]
        mean: Tensor = total / places.shape[2]
        return mean

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return an equal share for each place."""
        share: Tensor = grad / (ctx.shape[2] * ctx.shape[3])
        return share[..., None, None].expand(ctx.shape).contiguous()


class _Dense(torch.autograd.Function):
    """``x @ weight.T`` in the library's order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        """Return ``(1, outputs)``."""
        ctx.weight = weight
        return product(x, weight.T)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Return the gradient with respect to ``x``."""
        return product(grad, ctx.weight), None
