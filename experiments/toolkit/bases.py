"""What several experiments have in common: two digits, one network or more, or distorted pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import models
from attacks.settings import setting
from errors import BadSetting
from experiments.core import A, Experiment, F
from experiments.datasets.digit_sets import digits, source
from experiments.datasets.images import origin
from experiments.methods.lbfgs_examples import NETS, Sample, sample


@dataclass(frozen=True)
class OfTwoDigits(Experiment[A, F]):
    """An experiment on two classes of digits. Raises `errors.BadSetting` when both are the same."""

    n: int = setting(
        3000, "Images per digit", "The first so many training images of each digit.", low=10, high=60_000
    )
    first: int = setting(7, "First digit", "The class on the negative side.", low=0, high=9)
    second: int = setting(9, "Second digit", "The class on the positive side.", low=0, high=9)

    def __post_init__(self) -> None:
        """Check every setting, and that there are two digits."""
        super().__post_init__()
        if self.first == self.second:
            raise BadSetting(f"Expected two different digits, got {self.first} twice.")

    def depends(self) -> object:
        """Return where the digits come from."""
        return source(self.data)


@dataclass(frozen=True)
class OfNetwork(Experiment[A, F]):
    """An experiment on one network that a person names. Raises `errors.UnknownName` for one that is not
    there."""

    model: str = setting(models.FIRST, "Network", "Which network looks.", main=True)

    def __post_init__(self) -> None:
        """Check every setting, and that the network is there."""
        super().__post_init__()
        models.card(self.model)

    def depends(self) -> object:
        """Return which weights are asked, and how they are fed."""
        card = models.card(self.model)
        return [card.weights.sha256, card.mean]


@dataclass(frozen=True)
class OfNetworks(Experiment[A, F]):
    """An experiment on networks that a person names. Raises `errors.BadSetting` when none is named and
    `errors.UnknownName` for one that is not there."""

    networks: str = setting("fc100,lenet", "Networks", "Names of networks, with commas between.", main=True)

    def __post_init__(self) -> None:
        """Check every setting, and that the networks are there."""
        super().__post_init__()
        self.named()

    def named(self) -> list[str]:
        """Return the names of the networks, each once."""
        names = list(dict.fromkeys(name.strip() for name in self.networks.split(",") if name.strip()))
        if not names:
            raise BadSetting("Expected networks to name at least one network, got none.")
        return [models.card(name).name for name in names]

    def depends(self) -> object:
        """Return where the pictures are from and the digest of the weights, for each network."""
        cards = [models.card(name) for name in self.named()]
        return [[origin(card, self.data), card.weights.sha256] for card in cards]


@dataclass(frozen=True)
class OfDistorted(Experiment[A, F]):
    """An experiment on pictures that were distorted for each of ``nets``; ``part``: "train" or "test"."""

    nets: ClassVar[tuple[str, ...]] = NETS
    part: ClassVar[str] = "train"

    def depends(self) -> object:
        """Return where the digits come from, and the weights."""
        return [source(self.data), *(models.card(name).weights.sha256 for name in self.nets)]

    def sample(self) -> Sample:
        """Return the pictures that are distorted."""
        return sample(digits(self.data), self.part, self.n, self.seed)
