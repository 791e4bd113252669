"""Does a network that learnt from ImageNet read? A class's name written on photos, beside two controls.

Goh et al. 2021 (https://distill.pub/2021/multimodal-neurons/, "Typographic attacks"): a piece of paper that
says "iPod" makes CLIP call an apple an iPod. A label also hides a part of the photo, and letters are edges,
whatever they say: so the word stands beside the same label empty, and beside its own letters in another
order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

import models
from attacks.settings import setting
from engine.images.sources import open_sample, samples
from engine.intervals import Estimate, mean, share
from engine.networks import shared
from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage
from experiments.methods.written_label import labelled, nonsense, seen, square

NETWORKS = ("efficientnet_lite0", "efficientnet_lite2")
WORDS = (
    "banana",
    "toaster",
    "strawberry",
    "teapot",
    "pizza",
    "violin",
    "acorn",
    "broccoli",
    "zebra",
    "library",
)
"""Names of classes of ImageNet; with a photo whose first class it is already, a word is left out."""
URL = "https://distill.pub/2021/multimodal-neurons/"
FEW = 0.05


@dataclass(frozen=True)
class Pair:
    """A ``word`` on a photo: the natural-log probability of its class when the label is ``empty``, says
    ``nonsense``, or says the word (``written``), and whether the class is the first then."""

    word: str
    empty: float
    nonsense: float
    written: float
    first_empty: bool
    first_nonsense: bool
    first_written: bool


@dataclass(frozen=True)
class Photo:
    """What a ``network`` says of a photo: its ``first`` class without a label, whether that stays the first
    under an empty label (``unchanged``), and what each word does."""

    network: str
    photo: str
    first: str
    unchanged: bool
    pairs: list[Pair]


@dataclass(frozen=True)
class Reading:
    """What comes of ``pairs`` of a photo and a word with one network.

    ``empty``, ``nonsense``, ``written``: the share of pairs, in [0, 1], in which the word's class is the
    first under that label. ``rise_empty`` and ``rise_nonsense``: by how much the written word raises the
    natural-log probability of its class against the other label: the mean over photos, of each of which the
    mean over words is taken. ``unchanged``: the share of photos whose first class stays so under an empty
    label.
    """

    title: str
    pairs: int
    empty: Estimate
    nonsense: Estimate
    written: Estimate
    rise_empty: Estimate
    rise_nonsense: Estimate
    unchanged: Estimate
    best_word: str
    best_photo: str
    best_rise: float


@dataclass(frozen=True)
class TypographicFigures:
    """What comes out by the network's name, for labels ``size`` times as wide as the photo."""

    size: float
    words: list[str]
    networks: dict[str, Reading]


@dataclass(frozen=True)
class LabelledPhoto(Stage):
    """A photo of the shelf as one network sees it, under every label."""

    answer: ClassVar[type] = Photo

    network: str
    number: int
    photo: str

    @property
    def name(self) -> str:
        """Return the network and the photo's number."""
        return f"{self.network} {self.number}"


@dataclass(frozen=True)
class Typographic(Experiment[Photo, TypographicFigures]):
    """The names of ten classes written on a white label on the photos of the shelf, ``n`` of them at most."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="typographic",
        title="A word written on a picture",
        question="Does a network that learnt from ImageNet read what is written on a picture?",
        paper="Goh et al. 2021",
        url=URL,
        source="Typographic attacks (there on CLIP, with paper on real things)",
        digits=False,
    )
    result: ClassVar[type] = TypographicFigures

    n: int = setting(21, "Photos", "The first so many of the shelf.", low=2, high=100)
    size: float = setting(
        0.6, "Width of the label", "As a fraction of the photo's width.", low=0.1, high=1, main=True
    )

    def depends(self) -> object:
        """Return which weights are asked."""
        return [models.card(name).weights.sha256 for name in NETWORKS]

    def stages(self) -> list[LabelledPhoto]:
        """Return one stage for each network and photo."""
        photos = [s.name for s in samples().values() if s.channels == 3 and s.file][: self.n]
        return [LabelledPhoto(network, i, photo) for network in NETWORKS for i, photo in enumerate(photos, 1)]

    def carry_out(self, stage: LabelledPhoto, store: Store) -> Photo:
        """Return what the network says of the photo under every label."""
        model = shared(stage.network)
        card, photo = model.card, square(open_sample(stage.photo))
        texts = [None, "", *WORDS, *map(nonsense, WORDS)]
        images = [torch.from_numpy(seen(card, labelled(photo, text, self.size))) for text in texts]
        with torch.no_grad():
            log_p = torch.cat([model(image[None]) for image in images]).double().log_softmax(1)
        classes = [card.label_index(word) for word in WORDS]
        first = int(log_p[0].argmax())
        pairs = [_pair(log_p, row, c) for row, c in enumerate(classes) if c != first]
        unchanged = int(log_p[1].argmax()) == first
        return Photo(stage.network, stage.photo, card.labels[first], unchanged, pairs)

    def summarise(self, answers: Sequence[Photo]) -> TypographicFigures:
        """Return shares with intervals, and the rises by photo."""
        named = {name: [answer for answer in answers if answer.network == name] for name in NETWORKS}
        return TypographicFigures(
            self.size, list(WORDS), {name: reading(name, photos) for name, photos in named.items()}
        )

    def claims(self, figures: TypographicFigures) -> dict[str, bool]:
        """Return whether the networks read, by three measures."""
        networks = figures.networks.values()
        lows = [reading.rise_nonsense.low for reading in networks]
        return {
            "A written word raises its class more than its own letters in another order do, in both "
            "networks.": all(low is not None and low > 0 for low in lows),
            "In fewer than one case in twenty the written class becomes the first.": all(
                reading.written.value < FEW for reading in networks
            ),
            "The label alone, with nothing on it, changes the first class of at least one photo in ten.": all(
                reading.unchanged.value <= 0.9 for reading in networks
            ),
        }


def _pair(log_p: Tensor, row: int, c: int) -> Pair:
    """Return what word number ``row``, the name of class ``c``, does: rows of ``log_p`` are the photo without
    a label, with an empty one, with each word, and with each word's letters in another order."""
    empty, written, mixed = log_p[1], log_p[2 + row], log_p[2 + len(WORDS) + row]
    return Pair(
        word=WORDS[row],
        empty=float(empty[c]),
        nonsense=float(mixed[c]),
        written=float(written[c]),
        first_empty=int(empty.argmax()) == c,
        first_nonsense=int(mixed.argmax()) == c,
        first_written=int(written.argmax()) == c,
    )


def reading(name: str, photos: Sequence[Photo]) -> Reading:
    """Return the figures of one network."""
    pairs = [(photo, pair) for photo in photos for pair in photo.pairs]
    n = len(pairs)
    best_photo, best = max(pairs, key=lambda item: item[1].written - item[1].nonsense)
    return Reading(
        title=models.card(name).title,
        pairs=n,
        empty=share(sum(pair.first_empty for _, pair in pairs), n),
        nonsense=share(sum(pair.first_nonsense for _, pair in pairs), n),
        written=share(sum(pair.first_written for _, pair in pairs), n),
        rise_empty=mean([_mean([p.written - p.empty for p in photo.pairs]) for photo in photos]),
        rise_nonsense=mean([_mean([p.written - p.nonsense for p in photo.pairs]) for photo in photos]),
        unchanged=share(sum(photo.unchanged for photo in photos), len(photos)),
        best_word=best.word,
        best_photo=best_photo.photo,
        best_rise=round(best.written - best.nonsense, 4),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
