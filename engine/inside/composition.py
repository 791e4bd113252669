"""What a perturbation is made of: frequencies, places, grey levels; and which part of it fools.

Frequencies are radii in the two-dimensional spectrum, as multiples of the highest one along a row (half a
cycle a pixel): 0 is an even grey, 1 a change from pixel to pixel, up to the square root of 2 in the corners.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from engine.inside.asking import UNCHANGED, Asker
from engine.run import Floats
from errors import BadSetting
from models.core import Classifier

Exact = npt.NDArray[np.float64]
HIGHEST = math.sqrt(2.0)
LOW, MIDDLE = 0.125, 0.5
"""Where the low and the middle frequencies end."""
BANDS = {"low": (0.0, LOW), "middle": (LOW, MIDDLE), "high": (MIDDLE, HIGHEST)}
"""Lowest and highest radius of each band."""
MIXES = (*BANDS.values(), (0.0, MIDDLE), (LOW, HIGHEST), (0.0, HIGHEST))
"""Each band alone, two together, and all."""
DARKEST = -6.0
"""Powers of ten below the strongest frequency at which the picture of a spectrum is black."""


def radii(height: int, width: int) -> Exact:
    """Return the radius of each frequency of `numpy.fft.fft2`, ``(height, width)``."""
    rows, columns = np.fft.fftfreq(height), np.fft.fftfreq(width)
    radius: Exact = 2 * np.hypot(rows[:, None], columns[None, :])
    return radius


def power(delta: Floats) -> Exact:
    """Return the power of each frequency of ``delta`` ``(c, h, w)``, its channels added: ``(h, w)``. Their
    sum is the squared l2 (Parseval)."""
    spectrum = np.fft.fft2(delta.astype(np.float64), norm="ortho")
    powers: Exact = (np.abs(spectrum) ** 2).sum(0)
    return powers


def band(delta: Floats, low: float, high: float) -> Floats:
    """Return the part of ``delta`` ``(c, h, w)`` whose radius is in [``low``, ``high``); the corner is part
    of the highest band. Raises `errors.BadSetting` where ``low`` is not below ``high``."""
    if not 0 <= low < high <= HIGHEST + 1e-6:
        raise BadSetting(
            "Expected two frequencies from 0 to 1.42, the lower first, got {low} and {high}.",
            low=low,
            high=high,
        )
    radius = radii(*delta.shape[-2:])
    inside = (radius >= low) & ((radius < high) | (high >= HIGHEST - 1e-3))
    filtered: Floats = np.fft.ifft2(np.fft.fft2(delta.astype(np.float64)) * inside).real.astype(np.float32)
    return filtered


def noise_like(delta: Floats, seed: int = 0) -> Floats:
    """Return normal noise ``(c, h, w)`` of the l2 of ``delta``."""
    noise = np.random.default_rng(seed).standard_normal(delta.shape, np.float32)
    return noise * (np.linalg.norm(delta) / np.linalg.norm(noise))


@dataclass(frozen=True)
class Composition:
    """``radius``: of rings, one frequency wide, from 0 on; ``power`` and ``noise``: the mean power of a
    frequency in each, of the perturbation and of noise of the same l2; ``shares``: of the squared l2 in each
    of `BANDS`, in [0, 1], and ``noise_shares``; ``peak``: (row, column) of the strongest frequency in cycles
    across the picture, row from 0 on. ``levels``: how many values changed by 0, 1, 2, ... whole grey levels
    of 255, rounded, the last one with all greater; ``pixels``: how many pixels there are; ``touched``: how
    many changed at all, and ``visible``: how many by half a grey level or more, which a saved file keeps;
    ``half``: the share of pixels, those that changed most, that holds half of the squared l2."""

    radius: tuple[float, ...]
    power: tuple[float, ...]
    noise: tuple[float, ...]
    shares: tuple[float, ...]
    noise_shares: tuple[float, ...]
    peak: tuple[int, int]
    levels: tuple[int, ...]
    pixels: int
    touched: int
    visible: int
    half: float


MOST_LEVELS = 32


def composition(delta: Floats, seed: int = 0) -> Composition:
    """Return what ``delta`` ``(c, h, w)`` is made of; ``seed``: of the noise it is compared with.

    Raises `errors.BadSetting` where nothing changed.
    """
    if not delta.any():
        raise BadSetting(UNCHANGED)
    own, noise = power(delta), power(noise_like(delta, seed))
    radius, rings = radial(own)
    _, noise_rings = radial(noise)
    strengths = np.abs(delta)
    squares = np.sort((strengths.astype(np.float64) ** 2).sum(0), axis=None)[::-1].cumsum()
    levels = np.bincount(np.rint(255 * strengths).astype(int).clip(max=MOST_LEVELS).ravel())
    return Composition(
        radius=tuple(radius.tolist()),
        power=tuple(rings.tolist()),
        noise=tuple(noise_rings.tolist()),
        shares=shares(own),
        noise_shares=shares(noise),
        peak=peak(own),
        levels=tuple(levels.tolist()),
        pixels=squares.size,
        touched=int((strengths > 0).any(0).sum()),
        visible=int((strengths >= 0.5 / 255).any(0).sum()),
        half=(int((squares < squares[-1] / 2).sum()) + 1) / squares.size,
    )


@dataclass(frozen=True)
class ChangeMaps:
    """``power`` and ``noise`` ``(h, w)`` float32: of each frequency, in the order of `numpy.fft.fft2`, of the
    perturbation and of noise of the same l2; ``sizes`` ``(h, w)``: the largest change over the channels of
    each pixel."""

    power: Floats
    noise: Floats
    sizes: Floats


@dataclass(frozen=True)
class MadeOf:
    """A probe: the `Composition` of ``delta`` ``(c, h, w)`` beside noise drawn with ``seed``, and its
    `ChangeMaps`. The network is not asked."""

    delta: Floats
    seed: int = 0

    def pieces(self, network: Classifier) -> Iterator[Composition | ChangeMaps]:
        """Yield `answers`."""
        yield from self.answers()

    def answers(self) -> Iterator[Composition | ChangeMaps]:
        """Yield the composition, then the maps; raises `errors.BadSetting` where nothing changed."""
        yield composition(self.delta, self.seed)
        own, noise = power(self.delta), power(noise_like(self.delta, self.seed))
        yield ChangeMaps(own.astype(np.float32), noise.astype(np.float32), np.abs(self.delta).max(0))


def radial(powers: Exact) -> tuple[Exact, Exact]:
    """Return radii ``(n,)`` from 0 up to the highest, and the mean of ``powers`` ``(h, w)`` in the ring of
    each, one frequency wide."""
    radius, half = radii(*powers.shape), max(1, min(powers.shape) // 2)
    ring = np.rint(radius * half).astype(int).ravel()
    totals, counts = np.bincount(ring, powers.ravel()), np.bincount(ring)
    full = counts > 0
    return np.arange(len(counts))[full] / half, totals[full] / counts[full]


def shares(powers: Exact) -> tuple[float, ...]:
    """Return the share of ``powers`` ``(h, w)`` in each of `BANDS`, in [0, 1]."""
    place, total = np.digitize(radii(*powers.shape), (LOW, MIDDLE)), float(powers.sum())
    return tuple(float(powers[place == index].sum()) / total for index in range(len(BANDS)))


def peak(powers: Exact) -> tuple[int, int]:
    """Return (row, column) of the strongest frequency of ``powers`` ``(h, w)`` in cycles across the picture,
    its row from 0 on."""
    height, width = powers.shape
    row, column = divmod(int(powers.argmax()), width)
    row, column = (
        value - side if value > side // 2 else value for value, side in ((row, height), (column, width))
    )
    return (-row, -column) if row < 0 or (row == 0 and column < 0) else (row, column)


def spectrum_image(powers: Floats | Exact, most: float = 0.0) -> Image.Image:
    """Return `power` ``(h, w)`` as a grey picture, the lowest frequency in the middle: white for ``most``
    (0: its own strongest frequency), black for `DARKEST` powers of ten less."""
    scaled = powers / (most or float(powers.max()))
    logs = np.log10(np.fft.fftshift(scaled.clip(min=10.0**DARKEST)))
    return Image.fromarray(np.rint(((1 - logs / DARKEST) * 255).clip(0, 255)).astype(np.uint8))


def places_image(sizes: Floats) -> Image.Image:
    """Return where a perturbation sits, as a grey picture: ``sizes`` ``(h, w)``, as in `ChangeMaps`, white
    for the greatest of all."""
    return Image.fromarray(np.rint(255 * sizes / max(float(sizes.max()), 1e-12)).astype(np.uint8))


@dataclass(frozen=True)
class Filtered:
    """What the network says of the picture with a part of the perturbation: ``low``, ``high``: its radii;
    ``share``: of the squared l2, in [0, 1]; ``label`` with its ``probability``, and that of the picture's own
    class, ``original``, both in [0, 1]."""

    low: float
    high: float
    share: float
    label: int
    probability: float
    original: float


@dataclass(frozen=True)
class Filters:
    """Asks about ``start`` ``(c, h, w)`` in [0, 1] with bands of ``delta`` alone, ``cuts`` giving (low, high)
    of each; a probe that yields a `Filtered` for each. What is asked about is clipped to [0, 1]. ``own``: the
    picture's class."""

    start: Floats
    delta: Floats
    own: int
    cuts: tuple[tuple[float, float], ...] = MIXES

    def pieces(self, network: Classifier) -> Iterator[Filtered]:
        """Yield what the network says, band by band."""
        asker, total = Asker(network), float(np.linalg.norm(self.delta)) ** 2
        for low, high in self.cuts:
            part = band(self.delta, low, high)
            mixed = torch.from_numpy((self.start + part).clip(0, 1))
            answers = asker.logits(mixed[None])[0].softmax(0)
            label = int(answers.argmax())
            share = float(np.linalg.norm(part)) ** 2 / max(total, 1e-30)
            yield Filtered(low, high, share, label, float(answers[label]), float(answers[self.own]))


@dataclass(frozen=True)
class Largest:
    """What the network says when only the ``values`` largest of the changed values stay: ``share``: of all
    values, ``length``: of the squared l2, both in [0, 1]; ``label`` with its ``probability``, and that of the
    picture's own class, ``original``."""

    values: int
    share: float
    length: float
    label: int
    probability: float
    original: float


@dataclass(frozen=True)
class Survivors:
    """Asks about ``start`` ``(c, h, w)`` in [0, 1] with the largest values of ``delta`` alone: all, half, a
    quarter, ... and one; a probe that yields a `Largest` for each. ``own``: the picture's class."""

    start: Floats
    delta: Floats
    own: int

    def pieces(self, network: Classifier) -> Iterator[Largest]:
        """Yield what the network says, the most values first."""
        asker, delta = Asker(network), self.delta.ravel()
        order = np.argsort(-np.abs(delta), kind="stable")
        squares = (delta[order].astype(np.float64) ** 2).cumsum()
        counts = [delta.size >> power for power in range(delta.size.bit_length())]
        for batch in asker.batches(len(counts)):
            parts = np.zeros((len(counts[batch]), delta.size), np.float32)
            for part, count in zip(parts, counts[batch], strict=True):
                part[order[:count]] = delta[order[:count]]
            mixed = (self.start + parts.reshape(-1, *self.start.shape)).clip(0, 1)
            answers = asker.logits(torch.from_numpy(mixed)).softmax(1)
            for count, row in zip(counts[batch], answers, strict=True):
                length = float(squares[count - 1] / max(squares[-1], 1e-30))
                label = int(row.argmax())
                share, sure = count / delta.size, float(row[label])
                yield Largest(count, share, length, label, sure, float(row[self.own]))
