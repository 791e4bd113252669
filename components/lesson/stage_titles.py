"""What the pieces of an experiment are called beside a bar of progress."""

from __future__ import annotations

import re

import models
from components.i18n import preferences
from components.i18n.text import phrases, say
from components.widgets.image_picker import picture_title
from engine.images.sources import samples

PARTS = re.compile(r"(, | \| )")
WORD = re.compile(r"[A-Za-z_][\w-]*")


def called(piece: str) -> str:
    """Return the name of a piece in the reader's language, with the titles of networks and pictures in it.

    Known as a whole it is said so, else part by part, else word by word.
    """
    return "".join(_part(part) for part in PARTS.split(piece))


def _part(part: str) -> str:
    if part in samples() or part.startswith("photo:"):
        return picture_title(part)
    if part in phrases(preferences.language()):
        return say(part)
    titles = {card.name: card.title for card in models.cards()}
    return WORD.sub(lambda match: titles.get(match[0]) or say(match[0]).replace("_", " "), part)
