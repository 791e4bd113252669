"""Image classifiers: frozen networks that take pictures in [0, 1], each with a card of facts.

Every file in this folder may `models.core.register` networks; adding a model is adding a file. Importing
this package imports none of them: `registry` does.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import nn

from errors import UnknownName, WeightsError
from models import ensemble, weights
from models.added import clip, shelf, words
from models.core import _REGISTRY, Card, Classifier, Entry
from models.download import Progress
from models.layouts import by_rule, laid_out

FIRST = "efficientnet_lite0"
"""The model that opens where nobody chose another."""


Prepare = Callable[[nn.Module], nn.Module]
"""Brings a network into the form in which it is run."""


def frozen(network: nn.Module) -> nn.Module:
    """Return the network as it was built, never to be trained."""
    return network.eval().requires_grad_(False)


def prepared(network: nn.Module) -> nn.Module:
    """Return the same function, frozen and in the layout that mostly is the fastest."""
    network = frozen(network)
    return laid_out(network, by_rule(network))


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
    """Return the card of the model called ``name``, or of several as one ("a+b", `models.ensemble`), or of
    one with a person's own words ("clip~cat;dog", `models.added.words`).

    Raises `errors.UnknownName`, and `errors.BadSetting` for models that cannot be taken as one, and words
    that cannot be classes.
    """
    known = registry()
    if name in known:
        return known[name].card
    names, kind = ensemble.parsed(name, known)
    cards = [_card(part) for part in names]
    return cards[0] if len(cards) == 1 else ensemble.joined(cards, kind)


def _card(name: str) -> Card:
    base, own = words.parsed(name)
    return clip.card(_entry(base).card, own) if own else _entry(base).card


def bases(name: str) -> tuple[str, ...]:
    """Return the names of the models that ``name`` is made of: itself, where it is registered."""
    return tuple(words.parsed(part).base for part in ensemble.parsed(name).names)


def made_of(name: str, loaded: Sequence[Classifier]) -> Classifier:
    """Return the model called ``name``, made of its `bases`, which it shares; raises as `load` does."""
    joint = ensemble.parsed(name)
    parts = [
        clip.reworded(base, own) if (own := words.parsed(part).words) else base
        for part, base in zip(joint.names, loaded, strict=True)
    ]
    return parts[0] if len(parts) == 1 else ensemble.Ensemble(card(name), parts)


def load(name: str, *, progress: Progress | None = None, prepare: Prepare = prepared) -> Classifier:
    """Return the model called ``name``: float32 on the CPU, frozen, batch norm folded.

    ``progress`` is called with bytes done and bytes in all while weights are downloaded; ``prepare`` brings
    the network into the form in which it is run.
    Raises `errors.UnknownName` and `errors.WeightsError` (missing, wrong hash, or of another network).
    """
    joint = card(name)  # which knows an address in which a plus became a space
    if bases(joint.name) != (joint.name,):
        parts = [load(base, progress=progress, prepare=prepare) for base in bases(joint.name)]
        return made_of(joint.name, parts)
    entry = _entry(name)
    if entry.card.added:
        return _added(entry, prepare)
    return assemble(entry, weights.fetch(entry.card, progress), prepare)


def _added(entry: Entry, prepare: Prepare) -> Classifier:
    network = entry.build()
    if isinstance(network, clip.WordNetwork):
        return clip.WordClassifier(entry.card, prepare(network.encoder), network.texts)
    return Classifier(entry.card, prepare(network))


def assemble(entry: Entry, located: weights.Found, prepare: Prepare = prepared) -> Classifier:
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
    return Classifier(entry.card, prepare(network))


def _entry(name: str) -> Entry:
    if name not in registry():
        raise UnknownName.of("model", name, registry())
    return registry()[name]
