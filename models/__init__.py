"""Image classifiers: frozen networks that take pictures in [0, 1], each with a card of facts.

Every file in this folder may `models.core.register` networks; adding a model is adding a file. Importing
this package imports none of them: `registry` does.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

import torch
from torch import nn

from errors import UnknownName, WeightsError
from models import ensemble, weights
from models.added import shelf
from models.core import _REGISTRY, Card, Classifier, Entry
from models.download import Progress
from models.fusion import fold, suits_channels_last

FIRST = "efficientnet_lite0"
"""The model that opens where nobody chose another."""


def registry() -> dict[str, Entry]:
    """Return every model by name: without a download first, the lab's last of those, then by order. Those
    that were added here come last, except where one has the name of another."""
    shipped = _shipped()
    added = {name: entry for name, entry in shelf.entries().items() if name not in shipped}
    return shipped | added if added else shipped


@cache
def _shipped() -> dict[str, Entry]:
    for info in pkgutil.iter_modules(__path__):
        if not info.ispkg and info.name != "__main__":
            importlib.import_module(f"{__name__}.{info.name}")
    return dict(sorted(_REGISTRY.items(), key=lambda item: _place(item[1].card)))


def _place(card: Card) -> tuple[bool, bool, int]:
    return not card.offline, card.lab, card.order


def cards() -> list[Card]:
    """Return the cards of all models, those that need no download first."""
    return [entry.card for entry in registry().values()]


def card(name: str) -> Card:
    """Return the card of the model called ``name``, or of several as one ("a+b", `models.ensemble`).

    Raises `errors.UnknownName`, and `errors.BadSetting` for models that cannot be taken as one.
    """
    known = registry()
    if name in known:
        return known[name].card
    cards = [_entry(part).card for part in ensemble.names_of(name, list(known))]
    return cards[0] if len(cards) == 1 else ensemble.joined(cards)


def load(name: str, *, progress: Progress | None = None) -> Classifier:
    """Return the model called ``name``: float32 on the CPU, frozen, batch norm folded.

    ``progress`` is called with bytes done and bytes in all while weights are downloaded.
    Raises `errors.UnknownName` and `errors.WeightsError` (missing, wrong hash, or of another network).
    """
    joint = card(name)
    if joint.parts:
        return ensemble.Ensemble(joint, [load(part, progress=progress) for part in joint.parts])
    entry = _entry(name)
    if entry.card.added:
        return Classifier(entry.card, prepared(entry.build()))
    return assemble(entry, weights.fetch(entry.card, progress))


def assemble(entry: Entry, located: weights.Found) -> Classifier:
    """Return the classifier of ``entry`` with the weights of a verified file.

    Raises `errors.WeightsError` when the tensors are not those of the network, one for one.
    """
    tensors = weights.read(located)
    with torch.random.fork_rng(devices=[]):  # building draws initial weights, which nobody shall notice
        network = entry.build()
    try:
        network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{located.path} does not hold the weights of {entry.card.title}: {reason}"
        ) from error
    return Classifier(entry.card, prepared(network))


def prepared(network: nn.Module) -> nn.Module:
    """Return the same function, frozen and in the shape that a CPU runs fastest."""
    network = fold(network.eval().requires_grad_(False))
    return network.to(memory_format=torch.channels_last) if suits_channels_last(network) else network


def _entry(name: str) -> Entry:
    if name not in registry():
        raise UnknownName.of("model", name, registry())
    return registry()[name]
