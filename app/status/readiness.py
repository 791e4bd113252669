"""Whether this server can do its work, part by part."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.service import engine, ready
from errors import BadSetting, FoolscopeError

if TYPE_CHECKING:
    from engine.base import EngineBase

SECONDS = 2.0
"""For so long an answer of the database stands: whoever asks often shall not keep it busy."""
STARTING = FoolscopeError("The engine is starting.")
NO_NETWORK = FoolscopeError("No network is in memory yet.")
PART = "Expected parts to be some of {known}, got “{name}”."


@dataclass(frozen=True)
class Part:
    """A part of the server: ``error`` says why it is not ready, None when it is."""

    name: str
    error: FoolscopeError | None

    @property
    def ready(self) -> bool:
        """Say whether it is ready."""
        return self.error is None


class _Remembered:
    """What the database answered last, and when."""

    def __init__(self) -> None:
        self._lock, self._at = threading.Lock(), -math.inf
        self._error: FoolscopeError | None = None

    def ask(self, served: EngineBase) -> FoolscopeError | None:
        """Return why the database cannot be written to, None when it can."""
        with self._lock:
            if time.monotonic() - self._at > SECONDS:
                self._error = _database(served)
                self._at = time.monotonic()
            return self._error


_remembered = _Remembered()


def parts(wanted: Collection[str] = ()) -> list[Part]:
    """Return the parts of the server that are called so, by default all; raises `errors.BadSetting` for a
    name that none has."""
    for name in wanted:
        if name not in LOOKS:
            raise BadSetting(PART, known=", ".join(LOOKS), name=name[:40])
    names = [name for name in LOOKS if not wanted or name in wanted]
    if not ready():
        return [Part(name, STARTING) for name in names]
    served = engine()
    return [Part(name, LOOKS[name](served)) for name in names]


def _loop(served: EngineBase) -> FoolscopeError | None:
    health = served.health()
    return None if health.healthy else FoolscopeError(health.error or "The engine does not go on.")


def _database(served: EngineBase) -> FoolscopeError | None:
    try:
        served.history.database.check()
    except FoolscopeError as error:
        return error
    return None


def _model(served: EngineBase) -> FoolscopeError | None:
    return None if served.networks() else NO_NETWORK


LOOKS: dict[str, Callable[[EngineBase], FoolscopeError | None]] = {
    "loop": _loop,
    "database": _remembered.ask,
    "model": _model,
}
