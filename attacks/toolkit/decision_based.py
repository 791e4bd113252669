"""Searches that learn of each picture only whether it fools the network.

Such a search is a path of one picture: it yields pictures ``(k, c, h, w)``, of which the first is where it
stands, and receives ``(k,)`` booleans. It cannot look at anything else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor

from attacks.contract import Criterion, Query, Search
from attacks.toolkit.norms import Measure, l2
from errors import NoStart

Asking = Generator[Tensor, Tensor, Tensor]
"""A part of a path; its result is the picture at which it arrived."""
Path = Generator[Tensor, Tensor, None]
"""A path without an end."""

AT_ONCE = 32
"""How many pictures a query asks about, beside the one where a path stands."""
ROUNDS = 8
"""How many queries of that size look for a picture to begin from."""


def follow(
    path: Callable[[Tensor, torch.Generator], Path],
    x: Tensor,
    criterion: Criterion,
    rng: torch.Generator,
    size: Measure,
    steps: int,
) -> Search:
    """Ask about ``x``, ``steps`` times along a path from each picture, and about the nearest that fooled.

    Each path has dice of its own. Raises `errors.NoStart` where none has fooled the network by then.
    """
    yield Query(x, None)
    if not steps:
        return
    seeds = torch.randint(2**62, (len(x),), generator=rng).tolist()
    dice = [torch.Generator().manual_seed(seed) for seed in seeds]
    paths = [path(x[i : i + 1], dice[i]) for i in range(len(x))]
    asked = [next(search) for search in paths]
    nearest, least = x.clone(), [math.inf] * len(x)
    for _ in range(steps):
        together = _together(asked)
        logits = (yield Query(together.flatten(0, 1), None)).logits
        met = criterion.repeat(len(together)).met(logits).view(len(together), len(x))
        for i, search in enumerate(paths):
            met_here = met[: len(asked[i]), i]
            sizes = torch.where(met_here, size(asked[i] - x[i]), math.inf)
            if sizes.min() < least[i]:
                least[i] = float(sizes.min())
                nearest[i] = asked[i][sizes.argmin()]
            asked[i] = search.send(met_here)
    if math.inf in least:
        raise nothing_found(steps * AT_ONCE)
    yield Query(nearest, None)


def start(x: Tensor, rng: torch.Generator) -> Asking:
    """Look for a picture that fools, however different from ``x`` ``(1, c, h, w)``; return the nearest.

    Raises `errors.NoStart` after `ROUNDS` queries.
    """
    for index in range(ROUNDS):
        tried = tries(x, rng, plain=not index)
        met = yield tried
        if met.any():
            best = torch.where(met, l2(tried - x), math.inf).argmin()
            return tried[best : best + 1]
    raise nothing_found(ROUNDS * AT_ONCE)


def tries(x: Tensor, rng: torch.Generator, plain: bool) -> Tensor:
    """Return `AT_ONCE` pictures ``(k, c, h, w)`` quite unlike ``x`` ``(1, c, h, w)``.

    They are blocks of random colours, from single pixels to one colour all over, and gratings, laid over
    the picture by a quarter up to wholly. ``plain``: black, white and the negative are among them.
    """
    pictures = [torch.zeros_like(x), torch.ones_like(x), 1 - x] if plain else []
    while len(pictures) < AT_ONCE:
        pattern = (blocks if len(pictures) % 2 else gratings)(x, rng)
        share = (1 + int(torch.randint(4, (), generator=rng))) / 4
        pictures.append(x + share * (pattern - x))
    return torch.cat(pictures).clamp(0, 1)


def blocks(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return a picture of square blocks in glaring colours, of the shape of ``x``."""
    height, width = x.shape[2:]
    side = 2 ** int(torch.randint(max(height, width).bit_length() + 1, (), generator=rng))
    colours = torch.rand(x.shape, generator=rng, dtype=x.dtype).round().to(x.device)
    down, across = (torch.arange(k, device=x.device) // side for k in (height, width))
    return colours[:, :, down][..., across]


def gratings(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return a picture of stripes of one random width and slant, shifted in each channel, like ``x``."""
    (_, c, height, width), turn = x.shape, 2 * math.pi
    waves = torch.rand(2, generator=rng, dtype=x.dtype) * torch.tensor([height / 2, width / 2])
    shift = torch.rand((c, 1, 1), generator=rng, dtype=x.dtype)
    down, across = (torch.arange(k, dtype=x.dtype) / k for k in (height, width))
    wave = torch.cos(turn * (waves[0] * down[:, None] + waves[1] * across + shift))
    return (wave[None] > 0).to(x)


def to_boundary(at: Callable[[float], Tensor], tolerance: float) -> Asking:
    """Return ``at(t)`` with the smallest t in (0, 1] at which it fools, to within ``tolerance``.

    ``at(1.0)`` is known to fool. Each query tries seven values between the bounds: an eighth is left.
    """
    low, high = 0.0, 1.0
    while high - low > tolerance:
        between = [low + (high - low) * k / 8 for k in range(1, 8)]
        met = yield torch.cat([at(t) for t in [high, *between]])
        bounds = [low, *between, high]
        first = next((k for k in range(7) if met[k + 1]), 7)
        low, high = bounds[first], bounds[first + 1]
    return at(high)


def nothing_found(count: int) -> NoStart:
    """Return the error of a search without a start."""
    return NoStart(
        f"Expected a picture to begin from that fools the network, and none of {count} random ones does; "
        "try another seed, another target, or none."
    )


def _together(asked: Sequence[Tensor]) -> Tensor:
    """Return ``(k, n, c, h, w)``: what each of n paths asks, filled up with where it stands."""
    most = max(map(len, asked))
    return torch.stack(
        [torch.cat([images, images[:1].expand(most - len(images), -1, -1, -1)]) for images in asked], 1
    )
