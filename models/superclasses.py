"""Superclasses: the classes that are all dogs, all birds, all animals."""

from __future__ import annotations

from models.core import Card

IMAGENET = {
    "dogs": (*range(151, 269),),
    "birds": (*range(7, 25), *range(80, 101), *range(127, 147)),
    "cats": (*range(281, 294),),
}
"""Superclasses of the 1000 classes, by index; the first is the one that the article failed to trick."""
EVERYDAY = {
    "animals": "cat, dog, giant panda, leopard, cougar, elephant, kangaroo, llama, rhinoceros, hedgehog, "
    "dolphin, bird, flamingo, rooster, ostrich or emu, crocodile, turtle, butterfly, dragonfly, bug, "
    "scorpion, crab, lobster, starfish, sea horse, fish",
    "vehicles": "car, motorbike, airplane, helicopter, ship, wheelchair",
    "instruments": "guitar, piano, wind instrument, accordion",
}
"""Superclasses of the classes of the network that ships, by label."""


def superclasses(card: Card) -> dict[str, tuple[int, ...]]:
    """Return the classes of each superclass of a network, by index; none with fewer than two classes."""
    if len(card.labels) == 1000:
        return IMAGENET
    indices = {
        name: tuple(card.labels.index(label) for label in text.split(", ") if label in card.labels)
        for name, text in EVERYDAY.items()
    }
    return {name: classes for name, classes in indices.items() if len(classes) > 1}
