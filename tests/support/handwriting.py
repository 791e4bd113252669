"""Digits written with a pen on paper and photographed: drawn here from those of MNIST."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

WIDTH, HEIGHT = 900, 700


def skeleton(mask: np.ndarray) -> np.ndarray:
    """Return the line that is left of strokes when their edges are taken away, after Zhang and Suen 1984."""
    m = np.pad(mask, 1).astype(np.uint8)
    changed = True
    while changed:
        changed = False
        for first in (True, False):
            n = [m[:-2, 1:-1], m[:-2, 2:], m[1:-1, 2:], m[2:, 2:]]
            n += [m[2:, 1:-1], m[2:, :-2], m[1:-1, :-2], m[:-2, :-2]]
            count = np.add.reduce(n, dtype=int)
            turns = np.add.reduce(
                [(a == 0) & (b == 1) for a, b in zip(n, n[1:] + n[:1], strict=True)], dtype=int
            )
            a, b = (
                (n[0] * n[2] * n[4], n[2] * n[4] * n[6])
                if first
                else (n[0] * n[2] * n[6], n[0] * n[4] * n[6])
            )
            gone = (m[1:-1, 1:-1] == 1) & (count >= 2) & (count <= 6) & (turns == 1) & (a == 0) & (b == 0)
            m[1:-1, 1:-1][gone] = 0
            changed |= bool(gone.any())
    return m[1:-1, 1:-1].astype(bool)


def pen_strokes(digit: np.ndarray, side: int, width: float) -> np.ndarray:
    """Return how much ink covers each pixel, 0 to 1, of a digit ``(28, 28)`` drawn ``side`` pixels large with
    a pen of that width."""
    large = Image.fromarray(digit).resize((140, 140), Image.Resampling.BICUBIC)
    distance = ndimage.distance_transform_edt(~skeleton(np.asarray(large) > 110)) * side / 140
    fine = Image.fromarray(distance.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return np.clip(width / 2 + 0.5 - np.asarray(fine), 0, 1)


def light(rng: np.random.Generator, shadow: bool) -> np.ndarray:
    """Return the light on the paper, ``(HEIGHT, WIDTH)``: brighter to one side, perhaps with a shadow."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / (HEIGHT, WIDTH)[0]
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * x + np.sin(angle) * y
    level = rng.uniform(150, 235) * (1 - rng.uniform(0.1, 0.45) * (slope - slope.min()) / np.ptp(slope))
    if shadow:
        across = np.cos(2 * angle) * (x - rng.uniform(0.4, 0.9)) + np.sin(2 * angle) * (
            y - rng.uniform(0.3, 0.7)
        )
        level *= 1 - 0.35 / (1 + np.exp(-across * rng.uniform(35, 170)))
    return np.asarray(level)


def photograph(digit: np.ndarray, rng: np.random.Generator, shadow: bool | None = None) -> Image.Image:
    """Return a photo of a digit ``(28, 28)`` written on paper: somewhere, of some size, unevenly lit."""
    side = int(rng.integers(150, 580))
    ink = pen_strokes(digit, side, rng.uniform(2, 0.035 * side))
    top, left = (int(rng.integers(0, room - side)) for room in (HEIGHT, WIDTH))
    cover = np.zeros((HEIGHT, WIDTH))
    cover[top : top + side, left : left + side] = ink * rng.uniform(0.55, 0.85)
    grain = 12 * ndimage.gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 2) + rng.normal(
        0, 4, (HEIGHT, WIDTH)
    )
    level = light(rng, rng.random() < 0.3 if shadow is None else shadow) * (1 - cover) + grain
    return Image.fromarray((level[..., None] * (1, 0.97, 0.9)).clip(0, 255).astype(np.uint8))
