"""ImageNet classifiers of torchvision, described by torchvision's own weights API.

Importing torchvision takes as long as importing torch. What it says of its networks is therefore kept in
``assets/imagenet.json``, which ``python -m models --refresh`` writes, and torchvision itself is imported
when one of them is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from torch import nn

from models.core import Card, WeightsFile, distinct, register
from settings import ASSETS


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
    "alexnet": Source(
        "AlexNet",
        "Five convolutions and three fully connected layers: the network that the first paper took apart.",
        "https://arxiv.org/abs/1404.5997",
    ),
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


FACTS = ASSETS / "imagenet.json"


def describe() -> dict[str, Any]:
    """Return what torchvision says: the ``labels`` of all, and of each of its ``networks`` the facts."""
    from torchvision.models import get_model_weights

    chosen = {name: get_model_weights(name)[source.weights] for name, source in SOURCES.items()}
    labels = {tuple(weights.meta["categories"]) for weights in chosen.values()}
    if len(labels) != 1:
        raise ValueError("Expected all of torchvision's networks to have the same classes.")
    return {"labels": list(labels.pop()), "networks": {name: _facts(w) for name, w in chosen.items()}}


def _facts(weights: Any) -> dict[str, Any]:
    seen, measured = weights.transforms(), weights.meta["_metrics"]["ImageNet-1K"]
    return {
        "size": seen.crop_size[0],
        "resize": seen.resize_size[0],
        "mean": list(seen.mean),
        "std": list(seen.std),
        "interpolation": seen.interpolation.value,
        "url": weights.url,
        "bytes": round(weights.meta["_file_size"] * 2**20),
        "top-1": measured["acc@1"],
        "top-5": measured["acc@5"],
        "parameters": weights.meta["num_params"],
        "recipe": weights.meta["recipe"],
    }


def refresh() -> Path:
    """Write anew what torchvision says, and return where."""
    FACTS.write_text(json.dumps(describe(), indent=1) + "\n", encoding="utf-8")
    return FACTS


def labels() -> tuple[str, ...]:
    """Return the 1,000 classes as torchvision names them, made distinct."""
    return distinct(json.loads(FACTS.read_text(encoding="utf-8"))["labels"])


def _weights_file(name: str, source: Source, facts: Mapping[str, Any]) -> WeightsFile:
    """Return the release file, whose name ends in the first digits of its sha256."""
    path = PurePosixPath(facts["url"])
    return WeightsFile(
        file=path.name,
        sha256=path.stem.rpartition("-")[2],
        url=facts["url"],
        bytes=facts["bytes"],
        also=(WeightsFile(f"{name}.safetensors", source.by_hand, ignore=source.ignore),),
        ignore=source.ignore,
    )


def _card(name: str, source: Source, classes: tuple[str, ...], facts: Mapping[str, Any]) -> Card:
    """Return the card: transforms, labels, size and accuracy are what torchvision says."""
    return Card(
        name=name,
        title=source.title,
        summary=source.summary,
        size=facts["size"],
        resize=facts["resize"],
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        interpolation=facts["interpolation"],
        labels=classes,
        weights=_weights_file(name, source, facts),
        training_set="ImageNet-1K (ILSVRC 2012)",
        accuracy={"ImageNet top-1": facts["top-1"], "ImageNet top-5": facts["top-5"]},
        parameters=facts["parameters"],
        licence="BSD-3-Clause (torchvision); the training pictures are for non-commercial research",
        paper=source.paper,
        recipe=facts["recipe"],
    )


def _build(name: str, source: Source) -> nn.Module:
    """Return torchvision's network, no weights loaded."""
    from torchvision.models import get_model

    network: nn.Module = get_model(name, weights=None, **source.arguments)
    return network


def _register() -> None:
    known, classes = json.loads(FACTS.read_text(encoding="utf-8"))["networks"], labels()
    for name, source in SOURCES.items():
        if name in known:  # one that has just been added waits for refresh
            register(_card(name, source, classes, known[name]), partial(_build, name, source))


_register()
