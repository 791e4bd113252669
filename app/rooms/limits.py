"""How often something may be asked for: by one member, or from one address.

Times are those of the monotonic clock, which nobody can set back; what counts requests for other servers goes
by the time of day, and would refuse everybody for as long as that was set back.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from errors import TooMany

TOO_OFTEN = "That was too often: at most {count} in {seconds} seconds; try again in {wait} s."
MOST_KEYS = 20_000
"""Askers that are remembered at most; those that may ask again at once are forgotten first."""


@dataclass(frozen=True)
class Limit:
    """At most ``count`` in ``seconds``, and so many at once."""

    count: int
    seconds: float


LIMITS = {
    "open": Limit(200, 3600),
    "wrong": Limit(120, 60),
    "join": Limit(600, 60),
    "upload": Limit(12, 60),
    "run": Limit(60, 60),
    "submission": Limit(20, 60),
    "vote": Limit(60, 60),
    "bet": Limit(60, 60),
    "teach": Limit(240, 60),
}
"""What is limited. A class stands behind one address: joining is limited for a flood, not for people; wrong
codes and keys are, for they are guesses."""


class Limiter:
    """Counts what is asked for, each kind and asker apart (the generic cell rate algorithm, ITU-T I.371).

    ``clock``: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._free: dict[tuple[str, str], float] = {}

    def take(self, kind: str, who: str) -> None:
        """Count one request of ``who``; raises `errors.TooMany` when that is one too many."""
        limit, now = LIMITS[kind], self._clock()
        with self._lock:
            free = max(self._free.get((kind, who), now), now)
            self._refuse(limit, free - now)
            self._free[kind, who] = free + limit.seconds / limit.count
            if len(self._free) > MOST_KEYS:
                self._free = {key: at for key, at in self._free.items() if at > now}

    def check(self, kind: str, who: str) -> None:
        """Raise `errors.TooMany` when another `take` would, without counting."""
        with self._lock:
            self._refuse(LIMITS[kind], self._free.get((kind, who), 0.0) - self._clock())

    @staticmethod
    def _refuse(limit: Limit, used: float) -> None:
        """Raise when no room is left in ``limit``, of which ``used`` seconds are taken."""
        wait = used + limit.seconds / limit.count - limit.seconds
        if wait > 1e-6:
            seconds, rest = f"{limit.seconds:.0f}", f"{math.ceil(wait)}"
            raise TooMany(TOO_OFTEN, after=wait, count=limit.count, seconds=seconds, wait=rest)


LIMITER = Limiter()
"""Of this process."""


def asker(connection: HTTPConnection) -> str:
    """Return who asks: the holder of the token that comes with a request, else whoever is at its address."""
    token = connection.headers.get("authorization", "")
    return hashlib.sha256(token.encode()).hexdigest() if token else address(connection)


def address(connection: HTTPConnection) -> str:
    """Return the address that a request comes from: a proxy's, where that passes on no other."""
    return connection.client.host if connection.client else ""
