"""The offline photo classifier: everyday classes, trained by this project from scratch.

What it was trained on, how, and how good it is, is in ``assets/weights/photos.json``.
"""

from __future__ import annotations

from torch import nn

from models.core import Card, WeightsFile, register
from models.records import read_record
from models.resnet import SmallResNet

_RECORD = read_record("photos")
_LABELS = tuple(_RECORD["labels"])


def _build() -> nn.Module:
    return SmallResNet(len(_LABELS))


register(
    Card(
        name="photos",
        title="Everyday photos",
        summary=f"A small ResNet that knows {len(_LABELS)} everyday things and needs no network.",
        size=_RECORD["size"],
        labels=_LABELS,
        weights=WeightsFile("photos.safetensors", _RECORD["sha256"], bytes=_RECORD["bytes"]),
        mean=tuple(_RECORD["mean"]),
        std=tuple(_RECORD["std"]),
        training_set=_RECORD["data"],
        accuracy=_RECORD["accuracy"],
        parameters=_RECORD["parameters"],
        licence=_RECORD["licence"],
        paper="https://arxiv.org/abs/1512.03385",
        offline=True,
    ),
    _build,
)
