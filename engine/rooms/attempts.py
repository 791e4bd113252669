"""How often somebody may try something."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from errors import TooMany

PERIOD = 60.0
TOO_OFTEN = "Expected at most {most} attempts a minute: wait {wait} seconds."


class Attempts:
    """Allows everybody ``most`` attempts in `PERIOD` seconds of ``clock``, which never goes back. Safe to
    share between threads."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self._clock = most, clock
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def count(self, who: str) -> None:
        """Count an attempt of somebody; raises `errors.TooMany` for one too many, which is not counted."""
        with self._lock:
            now, times = self._clock(), self._times[who]
            while times and times[0] <= now - PERIOD:
                times.popleft()
            if len(times) >= self.most:
                wait = times[0] + PERIOD - now
                raise TooMany(TOO_OFTEN, wait, most=self.most, wait=math.ceil(wait))
            times.append(now)
