"""LeNet with weak and with strong weight decay, trained by this project as in https://arxiv.org/abs/1806.11186."""

from __future__ import annotations

from models.architectures.level_lenet import LevelLeNet
from models.core import register
from models.records import trained_card

PAPER = "https://arxiv.org/abs/1806.11186"

register(
    trained_card(
        "lenet_low",
        "LeNet, weak decay",
        "LeNet trained with hardly any weight decay: easy to fool with changes nobody sees.",
        PAPER,
    ),
    LevelLeNet,
)
register(
    trained_card(
        "lenet_high",
        "LeNet, strong decay",
        "LeNet trained with a thousand times the weight decay: it takes changes that one sees.",
        PAPER,
    ),
    LevelLeNet,
)
