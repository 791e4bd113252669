"""GoogLeNet as Caffe's authors released it, arXiv:1409.4842: the network of the panda and the vulture.

It is not torchvision's: 5x5 branches, biases in place of batch norm, local response normalisation,
and input from 0 to 255. Registered twice, because the article fed it pictures without taking the
mean away, so that its "black" is a true zero at the input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.core import Card, WeightsFile, register
from models.imagenet import labels

# Per branch: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, projection of the pool (table 1 of the paper).
INCEPTIONS: dict[str, tuple[int, int, int, int, int, int]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
MEAN = (122.6788, 116.6687, 104.0070)


class ResponseNorm(nn.Module):
    """Local response normalisation over 5 channels: ``x / (1 + 1e-4 / 5 * sum x^2) ** 0.75``.

    The sum over neighbours is a 1x1 convolution with a banded matrix, which takes a fifth to a half
    of the time of `torch.nn.LocalResponseNorm` on a CPU.
    """

    band: Tensor
    one: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        index = torch.arange(channels)
        near = ((index[:, None] - index).abs() <= 2).float()
        self.register_buffer("band", near[:, :, None, None] * (1e-4 / 5), persistent=False)
        self.register_buffer("one", torch.ones(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` ``(n, channels, h, w)`` normalised."""
        root = nn.functional.conv2d(x * x, self.band, self.one).rsqrt()
        return x * (root * root.sqrt())


class Inception(nn.Module):
    """Four branches over the same map, joined along the channels."""

    def __init__(
        self, before: int, one: int, reduce3: int, three: int, reduce5: int, five: int, pool: int
    ) -> None:
        super().__init__()
        self.b1x1 = nn.Conv2d(before, one, 1)
        self.b3x3_reduce = nn.Conv2d(before, reduce3, 1)
        self.b3x3 = nn.Conv2d(reduce3, three, 3, padding=1)
        self.b5x5_reduce = nn.Conv2d(before, reduce5, 1)
        self.b5x5 = nn.Conv2d(reduce5, five, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True)
        self.pool_proj = nn.Conv2d(before, pool, 1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, one + three + five + pool, h, w)``."""
        three = self.relu(self.b3x3_reduce(x))
        five = self.relu(self.b5x5_reduce(x))
        branches = (self.b1x1(x), self.b3x3(three), self.b5x5(five), self.pool_proj(self.pool(x)))
        joined: Tensor = self.relu(torch.cat(branches, 1))
        return joined


class BVLCGoogLeNet(nn.Module):
    """The network from RGB ``(n, 3, 224, 224)`` in 0..255, mean taken away, to logits ``(n, 1000)``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_7x7_s2 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.norm1 = ResponseNorm(64)
        self.conv2_3x3_reduce = nn.Conv2d(64, 64, 1)
        self.conv2_3x3 = nn.Conv2d(64, 192, 3, padding=1)
        self.norm2 = ResponseNorm(192)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.relu = nn.ReLU()
        before = 192
        for name, widths in INCEPTIONS.items():
            self.add_module(f"inception_{name}", Inception(before, *widths))
            before = widths[0] + widths[2] + widths[4] + widths[5]
        self.loss3_classifier = nn.Linear(before, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, 1000)``."""
        x = self.norm1(self.pool(self.relu(self.conv1_7x7_s2(x))))
        x = self.relu(self.conv2_3x3(self.relu(self.conv2_3x3_reduce(x))))
        x = self.pool(self.norm2(x))
        for name in INCEPTIONS:
            x = self.get_submodule(f"inception_{name}")(x)
            if name in ("3b", "4e"):
                x = self.pool(x)
        logits: Tensor = self.loss3_classifier(x.mean((2, 3)))
        return logits


def _card(name: str, title: str, summary: str, mean: tuple[float, ...], accuracy: dict[str, float]) -> Card:
    """Return the card of one way of feeding the network; ``mean`` is in 0..255."""
    return Card(
        name=name,
        title=title,
        summary=summary,
        size=224,
        labels=labels(),
        weights=WeightsFile(
            "bvlc_googlenet.safetensors", "7d01f38c04440b414df385d28bf53c16224577327ccf661ffa27aef24b2cd862"
        ),
        mean=tuple(level / 255 for level in mean),
        std=(1 / 255,) * 3,
        training_set="ImageNet-1K (ILSVRC 2012)",
        accuracy=accuracy,
        parameters=6998552,
        licence="released by BVLC for unrestricted use",
        paper="https://arxiv.org/abs/1409.4842",
        recipe="https://github.com/BVLC/caffe/tree/master/models/bvlc_googlenet",
    )


register(
    _card(
        "bvlc_googlenet",
        "GoogLeNet (Caffe)",
        "The Caffe release of GoogLeNet, fed as it was trained: 0 to 255 with the mean taken away.",
        MEAN,
        {"ImageNet top-1": 68.7, "ImageNet top-5": 88.9},
    ),
    BVLCGoogLeNet,
)
register(
    _card(
        "bvlc_googlenet_article",
        "GoogLeNet (Caffe), as in the article",
        "The same weights fed 0 to 255 with no mean taken away, so that black is a true zero at the input.",
        (0.0, 0.0, 0.0),
        {},
    ),
    BVLCGoogLeNet,
)
