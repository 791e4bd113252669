"""A handwritten digit on paper, made into what MNIST holds: light on black, 20 pixels high, centred.

As Y. LeCun describes the set (http://yann.lecun.com/exdb/mnist/): each digit fits a box of 20 x 20 pixels and
keeps its proportions, and its centre of mass lies in the middle of 28 x 28. A photo of paper is lit
unevenly, and a pen is thin: the light is evened out and the stroke made as wide as those of the set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy  # not its ndimage, which takes a third of a second: scipy loads it when it is first used
from PIL import Image

from engine.export.carried import entering
from engine.run import Floats

if TYPE_CHECKING:
    from models.core import Card, Crop

Mask = npt.NDArray[np.bool_]

SIDE, BOX = 28, 20
STROKE = 2.4
"""Width of a stroke in pixels of the box: the median of MNIST."""
WORKING = 560
"""Length in pixels of the long side at which the ink is looked for."""
WINDOWS = (40, 20, 10, 4)
"""Strokes are narrower than one of these parts of the long side."""
STROKE_PIXELS = 200
SPECK = 0.04
"""A part with less than this share of the largest part's ink is a speck."""
MOST_PARTS = 5
"""Writing hangs together in so few parts, of which `_written` leaves only those that are not specks."""
UNEVEN = 0.1
"""Paper, against its darkest ink, varies less than this from place to place."""
LARGEST_SHARE = 0.35
"""Ink covers less of a picture than this."""


def dark_on_light(picture: Image.Image) -> bool:
    """Say whether ``picture`` looks like dark writing on paper: a few strokes that do not cover much of it,
    dark on something light and, once shadows are left aside, even."""
    grey = _grey(picture)
    if not _written_dark(grey):
        return False
    ink = _ink(grey)
    mask = ink > _threshold(ink)
    even = 1.4826 * float(np.median(np.abs(ink))) < UNEVEN * _strongest(ink)
    return even and bool(mask.mean() < LARGEST_SHARE) and 0 < _parts(_written(mask))[1] <= MOST_PARTS


def prepare(picture: Image.Image) -> Image.Image:
    """Return the digit in ``picture`` as MNIST holds it, 28 x 28 (RGB): light on black whatever it was, its
    longer side 20 pixels, its centre of mass in the middle. All black where there is nothing to see."""
    grey = _grey(picture)
    ink = _ink(grey if _written_dark(grey) else 255 - grey)
    mask = _written(ink > _threshold(ink))
    result = np.zeros((SIDE, SIDE), np.uint8)
    if mask.any():
        small = _boxed(_thickened(mask))
        rows, columns = (_start(small, axis) for axis in (0, 1))
        result[rows : rows + small.shape[0], columns : columns + small.shape[1]] = small
    return Image.fromarray(result).convert("RGB")


def see(card: Card, picture: Image.Image, crop: Crop | None, prepared: bool) -> Floats:
    """Return what a network sees of ``picture`` (see `Card.see`); ``prepared``: of the digit in
    the crop, or without one anywhere in the picture, as MNIST would hold it."""
    if not prepared:
        return card.see(picture, crop or entering(card, picture))
    box = crop.box(picture.size) if crop else (0, 0, *picture.size)
    left, top, right, bottom = map(round, box)
    return card.see(prepare(picture.crop((left, top, right, bottom))))


def _grey(picture: Image.Image) -> Floats:
    """Return grey levels 0 to 255 at the working size, a little blurred against noise."""
    scale = WORKING / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.convert("L").resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(scipy.ndimage.gaussian_filter(np.asarray(small, np.float32), 1.0))


def _border(grey: Floats) -> Floats:
    """Return the levels of a frame around the picture."""
    width = max(1, min(grey.shape) // 16)
    inner = np.zeros(grey.shape, bool)
    inner[width:-width, width:-width] = True
    return grey[~inner]


def _written_dark(grey: Floats) -> bool:
    """Say whether the writing is darker than what it stands on.

    By the border, where that is plainly the lightest or the darkest; else, in a photo with shadows, by what
    there is more of in the size of strokes: dark or light.
    """
    low, high = np.percentile(grey, (0.1, 99.9))
    level = (float(np.median(_border(grey))) - low) / max(high - low, 1)
    if level < 0.1 or level > 0.9:
        return bool(level > 0.9)

    def both(part: int) -> tuple[Floats, Floats]:
        return _lacking(grey, part), _lacking(255 - grey, part)

    largest = max(map(_strongest, both(WINDOWS[-1])))
    pair = next(pair for pair in map(both, WINDOWS) if max(map(_strongest, pair)) >= 0.6 * largest)
    half = max(map(_strongest, pair)) / 2
    return bool(np.count_nonzero(pair[0] > half) > np.count_nonzero(pair[1] > half))


def _ink(grey: Floats) -> Floats:
    """Return how much darker than the paper around it each pixel of ``grey`` is: 0 as most are, 1 all.

    The window in which the paper is looked for is the least that takes away nearly all that is dark.
    """

    def share(part: int) -> Floats:
        lacking = _lacking(grey, part)
        return np.asarray(lacking / np.maximum(grey + lacking, 1))

    largest = share(WINDOWS[-1])
    half = _strongest(largest) / 2
    enough = 0.9 * np.count_nonzero(largest > half)
    ink = next(ink for ink in map(share, WINDOWS) if np.count_nonzero(ink > half) >= enough)
    return np.asarray(ink - np.median(ink), np.float32)


def _lacking(grey: Floats, part: int) -> Floats:
    """Return by how many levels ``grey`` is darker than its closing, which takes away what is dark and
    narrower than so small a ``part`` of the picture, and keeps the edges of shadows."""
    window = max(3, max(grey.shape) // part | 1)
    return np.asarray(scipy.ndimage.grey_closing(grey, (window, window)) - grey, np.float32)


def _strongest(values: Floats) -> float:
    """Return the median of the largest values, of so many as the shortest strokes have pixels."""
    count = min(STROKE_PIXELS, values.size)
    return float(np.median(np.partition(values.ravel(), -count)[-count:]))


def _threshold(ink: Floats) -> float:
    """Return from which value on something is ink: well above the paper's noise, and 0.4 of the darkest."""
    return max(0.4 * _strongest(ink), 6 * 1.4826 * float(np.median(np.abs(ink))), 0.08)


def _parts(mask: Mask) -> tuple[npt.NDArray[np.int32], int]:
    """Return the number of the part in which each pixel of the mask is, 0 outside, and how many parts there
    are; small gaps in a stroke do not part it."""
    parts, count = scipy.ndimage.label(scipy.ndimage.binary_dilation(mask, iterations=3), np.ones((3, 3)))
    return parts * mask, int(count)


def _written(mask: Mask) -> Mask:
    """Return the mask without specks, and without what reaches in from outside where there is more inside."""
    parts, count = _parts(mask)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    reaching = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    inside = sizes.copy()
    inside[reaching] = 0
    if inside.max() > 0.02 * sizes.max():
        sizes = inside
    return np.asarray((sizes > SPECK * sizes.max())[parts])


def _thickened(mask: Mask) -> Mask:
    """Return the mask, cut to what is in it, with strokes at least as wide as those of MNIST."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    depth = scipy.ndimage.distance_transform_edt(cut)
    ridge = cut & (depth >= scipy.ndimage.maximum_filter(depth, 3))
    width, share = 2 * float(np.median(depth[ridge])) - 1, STROKE / BOX
    # The digit grows with its strokes: (width + 2 more) / (side + 2 more) is to be the share.
    more = (share * (max(cut.shape) - 2) - width) / (2 - 2 * share)
    if more <= 0:
        return cut[1:-1, 1:-1]
    wide = np.pad(cut[1:-1, 1:-1], round(more))
    return np.asarray(scipy.ndimage.distance_transform_edt(~wide) <= more)


def _boxed(mask: Mask) -> npt.NDArray[np.uint8]:
    """Return the mask as grey levels, its longer side `BOX` pixels."""
    height, width = (max(1, round(side * BOX / max(mask.shape))) for side in mask.shape)
    return np.asarray(Image.fromarray(mask).convert("L").resize((width, height), Image.Resampling.BILINEAR))


def _start(small: npt.NDArray[np.uint8], axis: int) -> int:
    """Return at which row (``axis`` 0) or column the box goes for its centre of mass to be in the middle."""
    weights = small.sum(1 - axis, dtype=float)
    centre = float((weights * (np.arange(len(weights)) + 0.5)).sum() / weights.sum())
    return int(np.clip(round(SIDE / 2 - centre), 0, SIDE - len(weights)))
