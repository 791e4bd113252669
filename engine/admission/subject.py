"""A network while it is checked, and the images that it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from engine.images.sources import open_sample
from errors import BadNetwork
from models.added import shelf
from models.added.adapting import adapted
from models.added.record import AddedModel, InputFormat, OutputFormat
from models.core import Classifier

Report = Callable[..., None]
"""Called with ``stage=`` and the name of what is checked next."""
PROBES = ("panda", "cat", "bridge", "noise")
BATCH = 4
LONGEST_REASON = 200


@dataclass(frozen=True)
class Subject:
    """A network that was read, and what is known of it: what it takes, what it gives, for which classes."""

    network: nn.Module
    takes: InputFormat
    gives: OutputFormat
    labels: tuple[str, ...]

    def classifier(self) -> Classifier:
        """Return the network as attacks will see it, though not folded: ``(n, c, size, size)`` in [0, 1] to
        logits."""
        added = AddedModel(
            "checked", "The network", "", self.takes, self.gives, self.labels, files=(), parameters=0
        )
        return Classifier(shelf.card(added), adapted(self.network, self.takes, self.gives))

    def images(self, names: Sequence[str] = PROBES) -> Tensor:
        """Return samples ``(n, c, size, size)`` in [0, 1], as the network sees them."""
        card = self.classifier().card
        return torch.stack([card.preprocess(_opened(name)) for name in names])

    def with_takes(self, **changes: object) -> Subject:
        """Return the same with another input."""
        return replace(self, takes=replace(self.takes, **changes))  # type: ignore[arg-type]


def probes(takes: InputFormat) -> Tensor:
    """Return three photos and noise ``(4, c, height, width)``, normalised, as a network of that format takes
    them."""
    mode, size = "RGB" if takes.channels == 3 else "L", (takes.width, takes.height)
    pictures = [
        np.asarray(_opened(name).convert(mode).resize(size, Image.Resampling.BILINEAR)) for name in PROBES
    ]
    x = torch.from_numpy(np.stack(pictures)).reshape(len(PROBES), *size[::-1], -1).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(numbers).view(1, -1, 1, 1) for numbers in (takes.mean, takes.std))
    return ((x - mean) / std).contiguous()


@cache
def _opened(name: str) -> Image.Image:
    return open_sample(name)


def in_batches(classifier: nn.Module, images: Tensor) -> Tensor:
    """Return the logits ``(n, classes)`` of many images, a few at a time, without a gradient."""
    with torch.no_grad():
        return torch.cat([classifier(part) for part in images.split(BATCH)])


def reason(error: Exception) -> str:
    """Return what an error says in one line, or its kind; raises `errors.BadNetwork` when it is a lack of
    memory."""
    words = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "not enough memory" in words:
        raise BadNetwork("The network needs more memory than is allowed for adding one.") from error
    return words[:LONGEST_REASON] or type(error).__name__


def relative_change(a: Tensor, b: Tensor) -> float:
    """Return the greatest difference of two answers ``(n, classes)`` in units of how far the logits of ``a``
    lie apart, their standard deviation."""
    spread = float(a.double().std()) if a.numel() > 1 else 0.0
    difference = float((a.double() - b.double()).abs().max())
    return difference / spread if spread else difference
