"""Only pictures that 8 bits can hold: any search, with every query rounded to whole grey levels."""

from __future__ import annotations

from attacks.contract import Query, ReasonedSearch

LEVELS = 255


def eight_bit(search: ReasonedSearch, epsilon: float | None = None) -> ReasonedSearch:
    """Return ``search``, whose queries ``(n, c, h, w)`` in [0, 1] are rounded to the nearest of 256 levels.

    ``epsilon``: a linf budget, in [0, 1], that rounding is not to exceed; the pictures of the first query are
    where it is measured from, and 8 bits hold them. Returns what ``search`` returns.
    """
    most = None if epsilon is None else int(LEVELS * epsilon + 1e-3)
    try:
        query = next(search)
        start = (query.x * LEVELS).round()
        while True:
            levels = (query.x * LEVELS).round()
            if most is not None:
                base = start.repeat(len(levels) // len(start), *[1] * (levels.dim() - 1))
                levels = base + (levels - base).clamp(-most, most)
            reply = yield Query(levels / LEVELS, query.objective)
            query = search.send(reply)
    except StopIteration as end:
        reason: str | None = end.value
        return reason
    finally:
        search.close()
