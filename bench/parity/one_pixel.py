"""One Pixel beside torchattacks: how many pictures are fooled, and after how many questions."""

from __future__ import annotations

from attacks.one_pixel import OnePixel
from attacks.toolkit import norms
from bench.parity import _peers as peers
from bench.parity import _queries as queries

LIMIT, POPULATION = 1200, 96


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    name = peers.version("torchattacks")
    found = []
    for pixels in (1, 3) if name else ():
        generations = LIMIT // POPULATION
        attack = OnePixel(pixels=pixels, steps=generations, population=POPULATION)
        mine = queries.watch(queries.ours(attack), norms.l0, LIMIT)
        options = {"pixels": pixels, "steps": generations, "popsize": POPULATION}
        theirs = queries.watch(
            lambda *at, options=options: peers.torchattack("OnePixel", *at, **options), norms.l0, LIMIT
        )
        what = f"{pixels} pixel{'s' * (pixels > 1)}, population {POPULATION}, {LIMIT:,} queries"
        found.append(queries.compare_counts(str(name), what, mine, theirs))
    return found
