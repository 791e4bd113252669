"""ImageNet classifiers of torchvision, described by torchvision's own weights API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath

from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights

from models.core import Card, WeightsFile, distinct, register


@dataclass(frozen=True)
class Source:
    """What torchvision does not say of one of its networks.

    ``weights``: a member of the network's weights enum. ``arguments``: passed to its builder.
    ``ignore``: tensors of the release that only training used. ``by_hand``: the sha256 of a known
    ``<name>.safetensors``.
    """

    title: str
    summary: str
    paper: str
    weights: str = "DEFAULT"
    arguments: Mapping[str, bool] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    by_hand: str = ""


SOURCES = {
    "googlenet": Source(
        "GoogLeNet (torchvision)",
        "Inception v1 with batch norm: small, quick, and easy to fool.",
        "https://arxiv.org/abs/1409.4842",
        "IMAGENET1K_V1",
        {"transform_input": True, "aux_logits": False, "init_weights": False},
        ("aux1.", "aux2."),
    ),
    "resnet18": Source(
        "ResNet-18",
        "The smallest residual network, and a common first surrogate.",
        "https://arxiv.org/abs/1512.03385",
    ),
    "resnet50": Source(
        "ResNet-50",
        "The standard residual network, trained with the newer recipe.",
        "https://arxiv.org/abs/1512.03385",
    ),
    "mobilenet_v2": Source(
        "MobileNet v2",
        "A network for phones: inverted residuals, 3.5 million parameters.",
        "https://arxiv.org/abs/1801.04381",
        "IMAGENET1K_V1",
        by_hand="a3b6b3f72daabd900de6b837c7f15023c6815ca5d8bcf228a1b41175e4b42c51",
    ),
    "mobilenet_v3_small": Source(
        "MobileNet v3 small",
        "A network for slow phones, found by architecture search.",
        "https://arxiv.org/abs/1905.02244",
    ),
    "mobilenet_v3_large": Source(
        "MobileNet v3 large",
        "A network for phones, found by architecture search.",
        "https://arxiv.org/abs/1905.02244",
    ),
    "squeezenet1_1": Source(
        "SqueezeNet 1.1",
        "A very small network: 1.2 million parameters, and the least accurate here.",
        "https://arxiv.org/abs/1602.07360",
        by_hand="e6f9c35a373b9f4de9b57d4e7e29bb7b4264add76ec0bc371529447e9d37e531",
    ),
    "efficientnet_b0": Source(
        "EfficientNet B0",
        "Depth, width and resolution scaled together.",
        "https://arxiv.org/abs/1905.11946",
    ),
    "convnext_tiny": Source(
        "ConvNeXt tiny",
        "A convolutional network built after the manner of transformers.",
        "https://arxiv.org/abs/2201.03545",
    ),
    "vit_b_16": Source(
        "Vision Transformer B/16",
        "Attention over patches of 16 x 16 pixels; large and slow on a CPU.",
        "https://arxiv.org/abs/2010.11929",
    ),
    "swin_t": Source(
        "Swin Transformer tiny",
        "Attention within windows that shift from layer to layer.",
        "https://arxiv.org/abs/2103.14030",
    ),
}


def _weights_file(name: str, source: Source, weights: WeightsEnum) -> WeightsFile:
    """Return the release file, whose name ends in the first digits of its sha256."""
    path = PurePosixPath(weights.url)
    return WeightsFile(
        file=path.name,
        sha256=path.stem.rpartition("-")[2],
        url=weights.url,
        bytes=round(weights.meta["_file_size"] * 2**20),
        also=(WeightsFile(f"{name}.safetensors", source.by_hand, ignore=source.ignore),),
        ignore=source.ignore,
    )


def _card(name: str, source: Source) -> Card:
    """Return the card: transforms, labels, size and accuracy are what torchvision says."""
    weights = get_model_weights(name)[source.weights]
    seen = weights.transforms()
    measured = weights.meta["_metrics"]["ImageNet-1K"]
    return Card(
        name=name,
        title=source.title,
        summary=source.summary,
        size=seen.crop_size[0],
        resize=seen.resize_size[0],
        mean=tuple(seen.mean),
        std=tuple(seen.std),
        interpolation=seen.interpolation.value,
        labels=distinct(weights.meta["categories"]),
        weights=_weights_file(name, source, weights),
        training_set="ImageNet-1K (ILSVRC 2012)",
        accuracy={"ImageNet top-1": measured["acc@1"], "ImageNet top-5": measured["acc@5"]},
        parameters=weights.meta["num_params"],
        licence="BSD-3-Clause (torchvision); the training pictures are for non-commercial research",
        paper=source.paper,
        recipe=weights.meta["recipe"],
    )


def _build(name: str, source: Source) -> nn.Module:
    """Return torchvision's network, no weights loaded."""
    network: nn.Module = get_model(name, weights=None, **source.arguments)
    return network


for _name, _source in SOURCES.items():
    register(_card(_name, _source), partial(_build, _name, _source))
