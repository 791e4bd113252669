"""The offline photo classifiers: everyday classes, trained by this project from scratch.

One learnt from photos as they are, its twin from attacked ones. What they were trained on, how, and how good
they are, is in ``assets/weights/photos.json`` and ``photos_robust.json``.
"""

from __future__ import annotations

from torch import nn

from models.architectures.resnet import SmallResNet
from models.core import register
from models.records import read_record, trained_card

LABELS = tuple(read_record("photos")["labels"])


def _build() -> nn.Module:
    return SmallResNet(len(LABELS))


register(
    trained_card(
        "photos",
        "Everyday photos",
        f"A small ResNet that knows {len(LABELS)} everyday things and needs no network.",
        "https://arxiv.org/abs/1512.03385",
        twin="photos_robust",
        order=10,
    ),
    _build,
)
register(
    trained_card(
        "photos_robust",
        "Everyday photos, robust twin",
        "The same ResNet after adversarial training: harder to fool, and its gradients look like something.",
        "https://arxiv.org/abs/2202.01181",
        twin="photos",
        order=11,
    ),
    _build,
)
