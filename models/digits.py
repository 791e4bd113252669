"""Two networks that read handwritten digits, trained by this project on MNIST.

Both take pictures ``(n, 1, 28, 28)`` in [0, 1] as they are.
"""

from __future__ import annotations

from models.core import Card, WeightsFile, register
from models.lenet import FC100, LeNet
from models.records import read_record


def _card(name: str, title: str, summary: str, paper: str) -> Card:
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
        paper=paper,
        offline=True,
    )


register(
    _card(
        "lenet",
        "LeNet",
        "A small convolutional network that reads handwritten digits.",
        "https://doi.org/10.1109/5.726791",
    ),
    LeNet,
)
register(
    _card(
        "fc100",
        "FC100-100-10",
        "The fully connected digit network in which adversarial examples were first described.",
        "https://arxiv.org/abs/1312.6199",
    ),
    FC100,
)
