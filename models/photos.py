"""The offline photo classifiers: everyday classes, trained by this project from scratch.

One learnt from photos as they are, its twin from attacked ones. What they were trained on, how, and how good
they are, is in ``assets/weights/photos.json`` and ``photos_robust.json``.
"""

from __future__ import annotations

from torch import nn

from models.core import Card, WeightsFile, register
from models.records import read_record
from models.resnet import SmallResNet

LABELS = tuple(read_record("photos")["labels"])


def _build() -> nn.Module:
    return SmallResNet(len(LABELS))


def _card(name: str, title: str, summary: str, paper: str, twin: str) -> Card:
    record = read_record(name)
    return Card(
        name=name,
        title=title,
        summary=summary,
        size=record["size"],
        labels=tuple(record["labels"]),
        weights=WeightsFile(f"{name}.safetensors", record["sha256"], bytes=record["bytes"]),
        mean=tuple(record["mean"]),
        std=tuple(record["std"]),
        training_set=record["data"],
        accuracy=record["accuracy"],
        parameters=record["parameters"],
        licence=record["licence"],
        paper=paper,
        offline=True,
        twin=twin,
    )


register(
    _card(
        "photos",
        "Everyday photos",
        f"A small ResNet that knows {len(LABELS)} everyday things and needs no network.",
        "https://arxiv.org/abs/1512.03385",
        "photos_robust",
    ),
    _build,
)
register(
    _card(
        "photos_robust",
        "Everyday photos, robust twin",
        "The same ResNet after adversarial training: harder to fool, and its gradients look like something.",
        "https://arxiv.org/abs/2202.01181",
        "photos",
    ),
    _build,
)
