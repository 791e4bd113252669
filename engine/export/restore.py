"""The run behind a picture that came from here: every value is checked as one of a link is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from PIL import Image

from engine import links
from engine.export.carried import WHOLE, Carried, digest
from engine.images.sources import PREPARED, UPLOAD
from engine.recipe import Recipe
from engine.sentences import Said
from errors import BadRecipe, FoolscopeError

BACK = "This picture came from here: its network, target and settings are back, and so is its original."
ALONE = (
    "This picture came from here: its network, target and settings are back. Its original is not here, so "
    "the run begins with this picture."
)


class Pictures(Protocol):
    """What has pictures by name."""

    def picture(self, image: str) -> Image.Image:
        """Return the image of that name."""


@dataclass(frozen=True)
class Restored:
    """A recipe that came with a picture, what to say of it, and whether its original is at hand."""

    recipe: Recipe
    note: Said
    original: bool


def restore(pictures: Pictures, carried: Carried, dropped: str, own: Iterable[str] = ()) -> Restored:
    """Return the recipe that a picture carries, with the original as its image if that is at hand: by its
    name, or among ``own``, the names of the visitor's uploads; else the picture that was ``dropped`` itself.

    Raises `errors.BadRecipe` where a value is refused.
    """
    try:
        link = links.checked(carried.settings)
        link.recipe.check()
    except FoolscopeError as error:
        raise BadRecipe("The recipe in the picture was left aside: {why}", why=str(error)) from error
    named = link.recipe.image
    prepared = PREPARED * named.startswith(PREPARED)
    plain = named.removeprefix(PREPARED)
    for name in own if plain.startswith(UPLOAD) else [plain]:
        if _is(pictures, name, carried.original):
            return Restored(replace(link.recipe, image=prepared + name), (BACK, {}), True)
    crop = link.recipe.crop if carried.kind == "photo" else WHOLE
    return Restored(replace(link.recipe, image=dropped, crop=crop), (ALONE, {}), False)


def _is(pictures: Pictures, name: str, wanted: str) -> bool:
    """Return whether the picture called ``name`` is there and has the digest ``wanted``."""
    try:
        return digest(pictures.picture(name)) == wanted
    except FoolscopeError:
        return False
