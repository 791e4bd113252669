"""The networks of https://arxiv.org/abs/1312.6199, tables 1 to 4, trained by this project on MNIST.

All take pictures ``(n, 1, 28, 28)`` in [0, 1] as they are. They are made for the experiments.
"""

from __future__ import annotations

from models.architectures.perceptrons import NETWORKS
from models.core import register
from models.records import trained_card

PAPER = "https://arxiv.org/abs/1312.6199"
LINEAR = "Reads handwritten digits with no hidden layer: each digit has a template of pixels, "
HIDDEN = "Reads handwritten digits with two hidden layers of "
TEXTS = {
    "fc10_1e-4": ("FC10 (decay 1e-4)", LINEAR + "hardly smoothed."),
    "fc10_1e-2": ("FC10 (decay 1e-2)", LINEAR + "smoothed."),
    "fc10_1": ("FC10 (decay 1)", LINEAR + "smoothed until it errs on every fifth digit."),
    "fc100_100": ("FC100-100-10 (table 1)", HIDDEN + "100 sigmoid units each."),
    "fc200_200": ("FC200-200-10", HIDDEN + "200 sigmoid units each."),
    "ae400": (
        "AE400-10",
        "Reads handwritten digits from 400 features that an autoencoder found without labels.",
    ),
    "conv": ("Conv 16-32-10", "Reads handwritten digits with two small convolutions and nothing between."),
    "fc100_p1": ("FC100-100-10 (first half)", HIDDEN + "100 units, learnt from the first 30,000 digits."),
    "fc123_p1": (
        "FC123-456-10 (first half)",
        HIDDEN + "123 and 456 units, learnt from the first 30,000 digits.",
    ),
    "fc100_p2": ("FC100-100-10 (second half)", HIDDEN + "100 units, learnt from the last 30,000 digits."),
}


for _name, _build in NETWORKS.items():
    register(trained_card(_name, *TEXTS[_name], PAPER, lab=True), _build)
