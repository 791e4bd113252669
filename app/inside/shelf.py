"""The pictures of the shelf as a network sees them: what excites its channels, and what shows a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import models
from app import service
from app.inside.looking import Look, start_of
from engine.images import handwriting
from engine.images.sources import open_sample, samples
from engine.inside.classes import Labels
from engine.run import Floats
from engine.work import only_answer
from errors import UnknownName
from experiments.work import FirstDigits

MOST = 12
"""Pictures of one class that may be chosen from."""
DIGITS = 7
"""Test digits of each class that count as the shelf of a network that reads digits, beside its samples."""
RUN, MOST_RUNS = "run:", 50
"""What the name of a run's first picture begins with; of so many of a visitor's newest runs."""


@dataclass(frozen=True)
class ShelfPicture:
    """``name``: by which it opens, as a sample or as a digit, or `RUN` and the id of the run that began with
    it; ``picture`` ``(c, size, size)`` in [0, 1]."""

    name: str
    picture: Floats


@lru_cache(maxsize=4)
def pictures(model: str) -> tuple[ShelfPicture, ...]:
    """Return the shelf's photos or digits as the network ``model`` sees them."""
    card = models.card(model)
    names = [one.name for one in samples().values() if one.kind is None and one.channels == card.channels]
    seen = [handwriting.see(card, open_sample(name), None, False) for name in names]
    shelf = [ShelfPicture(name, picture) for name, picture in zip(names, seen, strict=True)]
    if card.reads_digits:
        digits = only_answer(service.engine(), FirstDigits(DIGITS))
        shelf += [ShelfPicture(name, picture) for name, picture in digits.items()]
    return tuple(shelf)


def batch(model: str) -> Floats:
    """Return all `pictures` ``(n, c, size, size)``."""
    return np.stack([one.picture for one in pictures(model)])


def of_class(look: Look, label: int) -> list[ShelfPicture]:
    """Return the pictures, `MOST` at most, that the run's network gives the class ``label``, but the run's
    own: those of the shelf, then those that the visitor's other runs on it began with."""
    model, own = look.run.recipe.model, look.run.recipe.image
    answers = look.ask_network(Labels(batch(model)), "labels")
    shelf = zip(pictures(model), list(answers), strict=True)
    shown = [one for one, answer in shelf if answer == label and one.name != own]
    return [*shown, *_of_own_runs(look, label)][:MOST]


def _of_own_runs(look: Look, label: int) -> Iterator[ShelfPicture]:
    """Yield brought pictures that the visitor's other runs on the network began with, each once."""
    recipe = look.run.recipe
    seen = {recipe.image, *(one.name for one in pictures(recipe.model))}
    for record in look.engine.own_runs(look.owner, MOST_RUNS) if look.owner else []:
        image, alike = record.recipe.image, record.first_label == look.run.labels[label]
        if record.recipe.model == recipe.model and alike and image not in seen and record.opens:
            seen.add(image)
            yield ShelfPicture(RUN + record.id, start_of(look.engine.run(record.id)))


def chosen(look: Look, label: int) -> ShelfPicture | None:
    """Return the picture of `of_class` that the query names (``?photo=``); the first one where it names none,
    or one of another class, as it may when the network says something else at another step; None where there
    is none. Raises `errors.UnknownName` for a name that the shelf does not have."""
    name, shown = look.query.get("photo", ""), of_class(look, label)
    known = name.startswith(RUN) or any(one.name == name for one in pictures(look.run.recipe.model))
    if name and not known:
        raise UnknownName.of("picture", name[:80], [one.name for one in shown])
    return next((one for one in shown if one.name == name), shown[0] if shown else None)
