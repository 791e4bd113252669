"""What a classifier is: a network that takes pictures in [0, 1], and a card of facts.

Normalisation lives inside the classifier; nobody else knows about means and deviations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from errors import BadSetting, UnknownName
from models import labels

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class Crop(NamedTuple):
    """The square of an upload that the network gets to see.

    ``x`` and ``y``: the square's centre as fractions of width and height, in [0, 1].
    ``size``: its side as a fraction of the picture's short side, in (0, 1].
    """

    x: float
    y: float
    size: float

    def box(self, picture: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return (left, top, right, bottom) in pixels, moved inside a picture of that width and height.

        Raises `errors.BadSetting` when a part is out of its range.
        """
        if not all(map(math.isfinite, self)) or not (
            0 < self.size <= 1 and 0 <= self.x <= 1 and 0 <= self.y <= 1
        ):
            raise BadSetting(f"Expected a crop with centre in [0, 1] and size in (0, 1], got {tuple(self)}.")
        side = max(1.0, self.size * min(picture))
        left = min(max(self.x * picture[0] - side / 2, 0), picture[0] - side)
        top = min(max(self.y * picture[1] - side / 2, 0), picture[1] - side)
        return left, top, left + side, top + side


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights: its name, its sha256, and where it can be had.

    ``sha256``: the whole digest in hex; a prefix where the publisher gives only a prefix; "" for a
    file put there by hand whose digest nobody published: then ``<file>.sha256`` beside it says it.
    ``url``: None when the file can only be put there by hand.
    ``bytes``: the size of the download, to within the publisher's rounding.
    ``also``: other files that hold weights for the same network.
    ``ignore``: prefixes of tensors that the file holds and the network does not use.
    ``package``: the installed package that holds the file, in its folder ``models``; its code is never run.
    ``folder``: the folder of an added network, which holds the file.
    """

    file: str
    sha256: str
    url: str | None = None
    bytes: int | None = None
    also: tuple[WeightsFile, ...] = ()
    ignore: tuple[str, ...] = ()
    package: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Card:
    """Facts of a model.

    ``size``: side of the square input in pixels. ``resize``: the short side that the model's own
    evaluation scales to before it crops ``size`` from the middle; None when it crops nothing.
    ``labels``: one for each class, no two alike (`distinct`). ``mean`` and ``std``: per channel, for
    input in [0, 1]. ``accuracy``: percent, by measure. ``parameters``: how many numbers were learnt.
    ``recipe``: address of the training recipe. ``offline``: the weights come with the product.
    ``lab``: meant for the experiments; listed after the others. ``twin``: a network of the same build and
    classes that learnt otherwise, to be shown beside this one. ``order``: place among the models that need
    no download, the least first. ``parts``: the names of the networks that it takes as one
    (`models.ensemble`), none for a single network; ``ensemble``: how, "" for a single one.
    ``added``: somebody added it here (`models.added`). ``worded``: its classes are texts that anybody may
    replace (`models.added.words`).
    """

    name: str
    title: str
    summary: str
    size: int
    labels: tuple[str, ...]
    weights: WeightsFile
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    resize: int | None = None
    interpolation: str = "bilinear"
    training_set: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict, hash=False)
    parameters: int | None = None
    licence: str = ""
    paper: str = ""
    recipe: str = ""
    offline: bool = False
    lab: bool = False
    twin: str = ""
    order: int = 100
    parts: tuple[str, ...] = ()
    ensemble: str = ""
    added: bool = False
    worded: bool = False

    def __post_init__(self) -> None:
        """Refuse a card whose facts contradict each other."""
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean) or min(self.std) <= 0:
            raise ValueError(f"{self.name}: expected mean and std of 1 or 3 channels, std above 0")
        if self.interpolation not in FILTERS:
            raise ValueError(f"{self.name}: expected interpolation in {sorted(FILTERS)}")
        if len({label.casefold() for label in self.labels}) != len(self.labels):
            raise ValueError(f"{self.name}: two classes have the same label")

    @property
    def channels(self) -> int:
        """Return 3 for colour, 1 for greyscale."""
        return len(self.mean)

    @property
    def reads_digits(self) -> bool:
        """Return whether it takes digits as MNIST holds them: 28 x 28, grey."""
        return (self.channels, self.size) == (1, 28)

    def default_crop(self) -> Crop:
        """Return the central crop of the model's own evaluation transform."""
        return Crop(0.5, 0.5, self.size / (self.resize or self.size))

    def label_index(self, text: str) -> int:
        """Return the class that ``text`` names: a label in any case, an index, a Chinese name or a synonym.

        Raises `errors.UnknownName`, with near labels as a hint, or with those that share the synonym.
        """
        wanted = text.strip().casefold()
        for index, label in enumerate(self.labels):
            if label.casefold() == wanted:
                return index
        if wanted.isdecimal() and int(wanted) < len(self.labels):
            return int(wanted)
        named = labels.search(wanted, self.labels)
        if len(named) > 1:
            raise UnknownName.shared("class", text.strip(), named)
        if named:
            return self.labels.index(named[0])
        raise UnknownName.of("class", text.strip(), self.labels)

    def evaluation_box(self, picture: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return (left, top, right, bottom) of what the model's own evaluation sees, for a picture's size.

        Its short side is scaled to ``resize``, its long one to whole pixels, and ``size`` pixels are taken
        from the middle: resampling this box gives the pixels of torchvision's Resize and CenterCrop.
        """
        if self.resize is None:
            return self.default_crop().box(picture)
        short = min(picture)
        scaled = [self.resize * side // short for side in picture]
        starts = [round((side - self.size) / 2) for side in scaled]
        units = [side / pixels for side, pixels in zip(picture, scaled, strict=True)]
        left, top = (start * unit for start, unit in zip(starts, units, strict=True))
        return left, top, left + self.size * units[0], top + self.size * units[1]

    def preprocess(self, picture: Image.Image, crop: Crop | None = None) -> Tensor:
        """Return what the network sees of ``picture`` as a tensor; see `see`."""
        return torch.from_numpy(self.see(picture, crop))

    def see(self, picture: Image.Image, crop: Crop | None = None) -> npt.NDArray[np.float32]:
        """Return what the network sees of ``picture``: ``(channels, size, size)`` in [0, 1]. Without a
        ``crop`` that is what the model's own evaluation sees (`evaluation_box`).

        Raises `errors.BadSetting` when the crop is not a square inside the picture.
        """
        box = crop.box(picture.size) if crop else self.evaluation_box(picture.size)
        mode = "RGB" if self.channels == 3 else "L"
        small = picture.convert(mode).resize((self.size, self.size), FILTERS[self.interpolation], box=box)
        levels = np.asarray(small, dtype=np.float32) / np.float32(255)
        return levels.reshape(self.size, self.size, self.channels).transpose(2, 0, 1).copy()


def fitted(x: Tensor, size: int) -> Tensor:
    """Return pictures ``x`` ``(n, c, h, w)`` in [0, 1] as a network of ``size`` x ``size`` pixels takes them;
    they keep every digit, and their own size where it is right already."""
    if x.shape[-1] == size:
        return x
    return functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)


def distinct(labels: Iterable[str]) -> tuple[str, ...]:
    """Return ``labels`` with the index behind each one that, in any case, occurs more than once."""
    names = list(labels)
    times = Counter(name.casefold() for name in names)
    return tuple(f"{n} ({i})" if times[n.casefold()] > 1 else n for i, n in enumerate(names))


class Classifier(nn.Module):
    """A frozen network and its normalisation: ``(n, c, size, size)`` in [0, 1] to logits ``(n, classes)``."""

    mean: Tensor
    std: Tensor

    def __init__(self, card: Card, network: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.network = network
        self.register_buffer("mean", torch.tensor(card.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, -1, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for pictures ``(n, c, size, size)`` in [0, 1]."""
        logits: Tensor = self.network((x - self.mean) / self.std)
        return logits

    def against(self, label: int, targeted: bool) -> Classifier:
        """Return what a search towards a goal asks, the classifier itself; ``targeted``: ``label`` is the
        class to reach, else the class to leave. Networks taken as one may answer by the goal."""
        return self


@dataclass(frozen=True)
class Entry:
    """A registered model: its card, and how to build its network before weights are put in."""

    card: Card
    build: Callable[[], nn.Module]


_REGISTRY: dict[str, Entry] = {}


def register(card: Card, build: Callable[[], nn.Module]) -> None:
    """Make a model known under ``card.name``; called at import by each file of this folder."""
    if card.name in _REGISTRY and _REGISTRY[card.name].card != card:
        raise ImportError(f"two models are called {card.name!r}")
    _REGISTRY[card.name] = Entry(card, build)
