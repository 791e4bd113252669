"""How an engine is at this moment, for whoever looks after the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from engine.base import EngineBase
from errors import FoolscopeError

OPEN = ("waiting", "running", "paused")


@dataclass(frozen=True)
class Standing:
    """``waiting``, ``running``, ``paused``: so many runs are; ``queue``: how many wait for their turn;
    ``models``: bytes of weights in memory by name; ``device``: where they are; ``breaks``: how often the loop
    broke.

    Of the database: ``pending``, runs that are being written or wait to be; ``failures``, tries to write that
    failed; ``problems``, what is wrong, and what happened since the start.
    """

    waiting: int
    running: int
    paused: int
    queue: int
    models: Mapping[str, int]
    device: str
    breaks: int
    pending: int
    failures: int
    problems: tuple[FoolscopeError, ...]


def standing(engine: EngineBase) -> Standing:
    """Return how ``engine`` is; it asks neither the device nor the database."""
    counts = Counter(run.status for run in engine.store.all())
    return Standing(
        **{status: counts[status] for status in OPEN},
        queue=len(engine.queue),
        models=engine.sizes(),
        device=str(engine.device),
        breaks=engine.health().breaks,
        pending=engine.history.pending(),
        failures=engine.history.failures,
        problems=tuple(engine.history.problems()),
    )
