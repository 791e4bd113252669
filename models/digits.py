"""Two networks that read handwritten digits, trained by this project on MNIST.

Both take pictures ``(n, 1, 28, 28)`` in [0, 1] as they are.
"""

from __future__ import annotations

from models.architectures.lenet import FC100, LeNet
from models.core import register
from models.records import trained_card

register(
    trained_card(
        "lenet",
        "LeNet",
        "A small convolutional network that reads handwritten digits.",
        "https://doi.org/10.1109/5.726791",
    ),
    LeNet,
)
register(
    trained_card(
        "fc100",
        "FC100-100-10",
        "The fully connected digit network in which adversarial examples were first described.",
        "https://arxiv.org/abs/1312.6199",
    ),
    FC100,
)
