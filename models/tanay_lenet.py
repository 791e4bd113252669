"""LeNet with weak and with strong weight decay, trained by this project as in https://arxiv.org/abs/1806.11186."""

from __future__ import annotations

from models.core import Card, WeightsFile, register
from models.level_lenet import LevelLeNet
from models.records import read_record


def _card(name: str, title: str, summary: str) -> Card:
    record = read_record(name)
    return Card(
        name=name,
        title=title,
        summary=summary,
        size=record["size"],
        labels=tuple(record["labels"]),
        weights=WeightsFile(f"{name}.safetensors", record["sha256"], bytes=record["bytes"]),
        mean=(0.0,),
        std=(1.0,),
        training_set=record["data"],
        accuracy=record["accuracy"],
        parameters=record["parameters"],
        licence=record["licence"],
        paper="https://arxiv.org/abs/1806.11186",
        offline=True,
    )


register(
    _card(
        "lenet_low",
        "LeNet, weak decay",
        "LeNet trained with hardly any weight decay: easy to fool with changes nobody sees.",
    ),
    LevelLeNet,
)
register(
    _card(
        "lenet_high",
        "LeNet, strong decay",
        "LeNet trained with a thousand times the weight decay: it takes changes that one sees.",
    ),
    LevelLeNet,
)
