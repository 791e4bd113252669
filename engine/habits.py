"""What the people of a queue do next: how soon they press Run again, and what they run then.

Somebody whose run has ended comes back at a rate that is learnt: so many came back in so many seconds that
people paused, those who have not come back included. What they ask for is what others asked for lately whose
run before was on the same model. No torch, no threads; times are in seconds from any start.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

RECENT = 60
"""So many of what people asked for lately are remembered, for each model that they ran before."""
FORGOTTEN = 5 * 60.0
"""Seconds after which somebody is no longer expected back."""
NEW = 8.0
"""As many newcomers as in the last so many seconds are expected in the next."""
PAUSES, PACE_OF_PAUSES = 20.0, 30.0
"""Seconds of a pause until it is known better, and over which its mean is taken."""
SELDOM = 1e-4
"""Of those who pause so few come back in a second that none are expected."""
GOLDEN = (math.sqrt(5) - 1) / 2
FIRST = ""
"""In place of the model of somebody who ran none before."""
Asked = TypeVar("Asked")


@dataclass
class Ratio:
    """So much was ``done`` for so much that ``passed``; what is long ago counts less, with the time constant
    ``change`` in seconds."""

    done: float
    passed: float
    change: float

    def add(self, done: float, passed: float, seconds: float) -> None:
        """Take in what was done, and what passed, in the last ``seconds``."""
        rest = math.exp(-seconds / self.change)
        self.done, self.passed = self.done * rest + done, self.passed * rest + passed

    @property
    def value(self) -> float:
        """Return what was done for one that passed."""
        return self.done / max(self.passed, 1e-9)


class Habits(Generic[Asked]):
    """What people asked for, and when: who has no run now pauses."""

    def __init__(self) -> None:
        self._pausing: dict[str, tuple[float, str]] = {}
        self._after: defaultdict[str, deque[Asked]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._new: deque[tuple[float, Asked]] = deque()
        self._returned = 0
        self._looked: float | None = None
        self._returns = Ratio(1.0, PAUSES, PACE_OF_PAUSES)

    def came(self, person: str, asked: Asked, now: float) -> None:
        """Note that somebody asked for a run."""
        _, before = self._pausing.pop(person, (now, FIRST))
        self._after[before].append(asked)
        if before == FIRST:
            self._new.append((now, asked))
        else:
            self._returned += 1

    def ended(self, person: str, model: str, now: float) -> None:
        """Note that somebody's run on ``model`` is over, and that it was the only one."""
        self._pausing[person] = now, model

    def look(self, now: float) -> None:
        """Take in how many pause, now and then."""
        seconds = 0.0 if self._looked is None else now - self._looked
        self._returns.add(self._returned, len(self._pausing) * seconds, seconds)
        self._returned, self._looked = 0, now
        for person, (since, _) in list(self._pausing.items()):
            if now - since > FORGOTTEN:
                del self._pausing[person]
        while self._new and self._new[0][0] < now - NEW:
            self._new.popleft()

    def guess(self, now: float) -> Guess[Asked]:
        """Return what is expected from ``now`` on."""
        pausing = [model for _, model in self._pausing.values()]
        fresh = [(now - came, asked) for came, asked in self._new if came > now - NEW]
        after = {model: list(asked) for model, asked in self._after.items()}
        return Guess(self._returns.value, pausing, fresh, after)


class Guess(Generic[Asked]):
    """What is expected. ``rate``: of those who pause so many come back in a second; ``pausing``: what
    each of them ran last; ``fresh``: newcomers, and in how many seconds; ``after``: what is asked for after a
    model."""

    def __init__(
        self,
        rate: float,
        pausing: list[str],
        fresh: list[tuple[float, Asked]],
        after: dict[str, list[Asked]],
    ) -> None:
        self._rate, self._pausing, self._fresh, self._after = rate, pausing, fresh, after
        self._numbers: defaultdict[str, Iterator[int]] = defaultdict(count)

    def expected(self) -> Iterator[tuple[float, Asked]]:
        """Yield in how many seconds newcomers and those who pause come, and what they ask for."""
        yield from self._fresh
        for model in self._pausing:
            yield from self.again(model)

    def again(self, model: str) -> Iterator[tuple[float, Asked]]:
        """Yield how long somebody pauses whose run on ``model`` has ended, and what comes then; nothing where
        nobody ever came back."""
        known = self._after.get(model)
        if not known or self._rate < SELDOM:
            return
        number = next(self._numbers[model])
        share = (number * GOLDEN + 0.5) % 1  # spread evenly, and the same in every forecast
        pause = -math.log(1 - share) / self._rate
        yield pause, known[-1 - number % len(known)]
