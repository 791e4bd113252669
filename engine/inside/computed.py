"""What was computed about the inside of runs, remembered: a step that somebody looks at again costs nothing,
and the files of a run hold what was looked at.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, is_dataclass
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np

from engine.base import EngineBase
from engine.probes import Probe

T = TypeVar("T")
LIMIT = 48 * 2**20
"""Bytes of answers that are remembered."""
OVERHEAD = 200
"""Bytes that an answer is taken to have beside its arrays and texts."""


@dataclass(frozen=True)
class Key:
    """What was asked: of the run with this id ("" for a network alone), in a ``part`` of the section, at a
    ``step``, with these ``settings``, in any order that the part chooses."""

    run: str
    part: str
    step: int
    settings: tuple[Hashable, ...] = ()


class Computed:
    """Answers by what was asked, the least recently used forgotten beyond ``limit`` bytes."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._answers: OrderedDict[Key, tuple[Any, ...]] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self._lock = threading.Lock()

    def ask(self, engine: EngineBase, model: str, key: Key, question: Probe[T]) -> Iterator[T]:
        """Yield the answers to ``question`` about the network ``model``: those that are
        remembered under ``key``, else as they are computed. Only whole answers are remembered; closing the
        iterator cancels what is left. Raises what the question raises."""
        known = self.known(key)
        if known is not None:
            yield from known
            return
        answers: list[T] = []
        with closing(engine.probe(model, question)) as fresh:
            for answer in fresh:
                answers.append(answer)
                yield answer
        self._remember(key, tuple(answers))

    def ask_nobody(self, key: Key, compute: Callable[[], Iterator[T]]) -> tuple[T, ...]:
        """Return the answers under ``key``; those that are not remembered are computed in this thread, by no
        network, and remembered. Raises what ``compute`` raises."""
        known = self.known(key)
        if known is None:
            known = tuple(compute())
            self._remember(key, known)
        return known

    def known(self, key: Key) -> tuple[Any, ...] | None:
        """Return the answers under ``key``, None where they are not remembered."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
            return self._answers.get(key)

    def of(self, run: str) -> dict[Key, tuple[Any, ...]]:
        """Return all that is remembered of a run, by part and step."""
        with self._lock:
            own = {key: answers for key, answers in self._answers.items() if key.run == run}
        return dict(
            sorted(own.items(), key=lambda item: (item[0].part, item[0].step, repr(item[0].settings)))
        )

    def state(self, run: str) -> str:
        """Return what changes whenever more is remembered of a run, or less."""
        return sha256(repr(list(self.of(run))).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """Return roughly how much is remembered."""
        with self._lock:
            return sum(self._sizes.values())

    def _remember(self, key: Key, answers: tuple[Any, ...]) -> None:
        with self._lock:
            self._answers[key], self._sizes[key] = answers, sum(map(size_of, answers))
            while sum(self._sizes.values()) > self._limit:
                old, _ = self._answers.popitem(last=False)
                del self._sizes[old]


def size_of(answer: object) -> int:
    """Return roughly how many bytes an answer takes: a dataclass of numbers, texts and arrays."""
    if isinstance(answer, np.ndarray):
        return answer.nbytes
    if is_dataclass(answer) and not isinstance(answer, type):
        return OVERHEAD + sum(size_of(getattr(answer, field.name)) for field in fields(answer))
    if isinstance(answer, (tuple, list)):
        return 8 * len(answer) + sum(map(size_of, answer))
    return len(answer) if isinstance(answer, (str, bytes)) else 8


COMPUTED = Computed()
"""What this process remembers."""
