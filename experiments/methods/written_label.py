"""A white label on a photo with a word on it, and the two labels that it is compared with."""

from __future__ import annotations

import random
import re
from typing import Literal

from PIL import Image, ImageDraw

from engine.run import Floats
from engine.sharing.fonts import font
from models.core import Card, Crop

Place = Literal["top", "middle", "bottom"]
PLACES: dict[Place, float] = {"top": 0.12, "middle": 0.5, "bottom": 0.88}
"""Where the middle of the label is, as a fraction of the photo's height."""
SIDE = 512
"""Pixels of a side of the square photo that the label is drawn on."""
SHAPE = 0.28
"""Height of a label by its width."""
INK, PAPER, EDGE = (16, 16, 16), (250, 250, 250), (200, 200, 200)
WHOLE = Crop(0.5, 0.5, 1.0)


def square(photo: Image.Image) -> Image.Image:
    """Return the middle of a photo as `SIDE` x `SIDE` pixels."""
    box = WHOLE.box(photo.size)
    return photo.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)


def labelled(photo: Image.Image, word: str | None, size: float = 0.6, place: Place = "middle") -> Image.Image:
    """Return a square photo with a white label on it that says ``word``: nothing where that is "", and the
    photo without a label where it is None.

    ``size``: the label's width as a fraction of the photo's, in (0, 1].
    """
    drawn = photo.copy()
    if word is None:
        return drawn
    width, height = size * photo.width, SHAPE * size * photo.width
    middle = min(max(PLACES[place] * photo.height, height / 2), photo.height - height / 2)
    left, top = (photo.width - width) / 2, middle - height / 2
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((left, top, left + width, top + height), fill=PAPER, outline=EDGE)
    if word:
        face = font(_letter_size(word, width, height), "zh" if re.search("[\u3400-\u9fff]", word) else "en")
        pen.text((photo.width / 2, middle), word, fill=INK, font=face, anchor="mm")
    return drawn


def _letter_size(word: str, width: float, height: float) -> float:
    """Return the size in pixels in which ``word`` fills nine tenths of a label, or its height."""
    language = "zh" if re.search("[\u3400-\u9fff]", word) else "en"
    wide = font(100, language).getlength(word)
    return max(4.0, min(0.9 * width * 100 / max(wide, 1.0), 0.72 * height))


def nonsense(word: str) -> str:
    """Return the letters of ``word`` in another order, always the same: as much ink, and no word; "xqz…"
    where there is no other order."""
    letters, rng = list(word), random.Random(word)
    for _ in range(20):
        rng.shuffle(letters)
        if "".join(letters).casefold() != word.casefold():
            return "".join(letters).strip() or "xqz"
    return ("xqzvk" * len(word))[: max(len(word), 2)]


def seen(card: Card, photo: Image.Image) -> Floats:
    """Return what a network sees of a whole square photo: ``(c, size, size)`` in [0, 1]."""
    return card.see(photo, WHOLE)
