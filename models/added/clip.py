"""Networks that compare an image with texts (CLIP): the image's half, and texts in place of a last layer.

Radford et al. 2021, https://arxiv.org/abs/2103.00020, section 3.1.2: the logit of a class is the cosine of
the image's features and those of the class's text, times a scale that was learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from errors import BadSetting
from models.added import shelf, source, words
from models.added.record import AddedModel
from models.core import Card, Classifier

KIND = "open_clip"
"""The source whose networks have words that may be changed."""


@dataclass(frozen=True)
class Texts:
    """What an image is compared with: the unit vectors of the classes' texts ``(classes, d)``, the ``scale``
    of the cosines, and the ``bias`` that is added to every logit."""

    vectors: Tensor
    scale: float
    bias: float = 0.0


class Encoder(nn.Module):
    """The image's half: normalised images ``(n, c, size, size)`` to unit vectors ``(n, d)``. ``several``: the
    network gives several tensors, of which the features are the first."""

    def __init__(self, visual: nn.Module, several: bool = False) -> None:
        super().__init__()
        self.visual, self.several = visual, several

    def forward(self, x: Tensor) -> Tensor:
        """Return unit vectors ``(n, d)``."""
        features = self.visual(x)
        return functional.normalize(features[0] if self.several else features, dim=-1)


class WordNetwork(nn.Module):
    """An encoder and texts as one network, to logits ``(n, classes)``."""

    def __init__(self, encoder: Encoder, texts: Texts) -> None:
        super().__init__()
        self.encoder, self.texts = encoder, texts

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for normalised images."""
        return _logits(self.encoder(x), self.texts.vectors, self.texts)


class WordClassifier(Classifier):
    """A classifier whose last layer are texts; ``network`` gives unit vectors ``(n, d)``."""

    vectors: Tensor

    def __init__(self, card: Card, network: nn.Module, texts: Texts) -> None:
        super().__init__(card, network)
        self.texts = texts
        self.register_buffer("vectors", texts.vectors, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)`` for images ``(n, c, size, size)`` in [0, 1]."""
        return _logits(super().forward(x), self.vectors, self.texts)


def _logits(features: Tensor, vectors: Tensor, texts: Texts) -> Tensor:
    return texts.scale * features @ vectors.T + texts.bias


class Embeds(Protocol):
    """A source whose networks turn texts into unit vectors ``(texts, d)``."""

    def vectors(self, record: AddedModel, texts: tuple[str, ...]) -> Tensor:
        """Return them; raises `errors.FoolscopeError`."""


def card(base: Card, own: tuple[str, ...]) -> Card:
    """Return the card of ``base`` with a person's own words as classes.

    Raises `errors.BadSetting` for a network whose classes are not texts.
    """
    if not base.worded:
        raise BadSetting(
            "Expected a network that compares images with words (CLIP), got {got}.", got=base.title
        )
    return replace(base, name=words.name_of(base.name, own), labels=own)


def reworded(base: Classifier, own: tuple[str, ...]) -> Classifier:
    """Return a classifier that shares the image's half of ``base`` and has a person's own words as classes.

    Raises as `card` does, and `errors.FoolscopeError` when the texts cannot be turned into vectors.
    """
    named = card(base.card, own)
    assert isinstance(base, WordClassifier)
    texts = replace(base.texts, vectors=_vectors(shelf.get(base.card.name), own).to(base.vectors.device))
    return WordClassifier(named, base.network, texts)


@lru_cache(maxsize=64)
def _vectors(record: AddedModel, own: tuple[str, ...]) -> Tensor:
    embedding = cast(Embeds, source.registry()[KIND])
    with torch.random.fork_rng(devices=[]):  # building draws initial weights, which nobody shall notice
        return embedding.vectors(record, tuple(map(words.text_of, own)))
