"""Questions that look into a model, carried out piece by piece beside the runs, on the engine's one thread.

    for part in engine.probe("efficientnet_lite0", Plane(...)):  # closing the iterator cancels the probe
        show(part)

While runs wait, all probes together get one part in `WEIGHT` + 1 of the device's time.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from engine.device import out_of_memory
from engine.jobs import FULL, Task, words
from errors import FoolscopeError, OutOfMemory
from models.core import Classifier

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
WEIGHT = 16.0
"""A second of a probe counts as so many seconds of a run."""
UNREAD = 4096
"""Answers that may wait to be read; a probe that nobody reads ends with them."""
NOT_READ = "Expected somebody to read the answers of a question, got nobody for a while. Ask it again."
ALONE = 2**30
GROUP = "\0probes"  # no model is called so


class Probe(Protocol[T_co]):
    """A question as plain data (a frozen dataclass), so that a remote engine can be asked it too."""

    def pieces(self, network: Classifier) -> Iterator[T_co]:
        """Yield the answers, on the CPU, as they come: between two of them at most about .2 s of work, so
        that runs are not held up. Asks ``network`` and leaves it as it was, hooks included, when it ends or
        is closed. May raise `errors.FoolscopeError` for what has no meaning on this network."""


@dataclass(frozen=True)
class Ended:
    """The end of a probe, with what it ended of."""

    error: Exception | None


class ProbeJob(Task, Generic[T]):
    """A probe as the engine's loop carries it out: one piece a turn."""

    def __init__(self, key: str, model: Classifier, pieces: Iterator[T], release: Callable[[], None]) -> None:
        super().__init__(key, model, release)
        self._pieces = pieces
        self._answers: queue.SimpleQueue[T | Ended] = queue.SimpleQueue()

    @property
    def group(self) -> str:
        """Return the name of the group of all probes."""
        return GROUP

    @property
    def rows(self) -> int:
        """Return more than any batch has: probes go one by one."""
        return ALONE

    def start(self) -> None:
        """Do nothing: the first piece has its turn like the others."""

    def carry_on(self) -> None:
        """Carry out the next piece; raises StopIteration at the end, and whatever the probe raises."""
        answer = next(self._pieces)
        if self._answers.qsize() >= UNREAD:
            raise FoolscopeError(NOT_READ)
        if not self.closed:
            self._answers.put(answer)

    def answers(self, look: Callable[[], None], patience: float) -> Iterator[T]:
        """Yield the answers as they come; raises what the probe ended of. ``look``: called every ``patience``
        seconds while nothing comes."""
        while True:
            try:
                answer = self._answers.get(timeout=patience)
            except queue.Empty:
                look()
                continue
            if not isinstance(answer, Ended):
                yield answer
            elif answer.error is not None:
                raise answer.error
            else:
                return

    def close(self) -> None:
        """Let the probe take its hooks away; a reader who still waits is told the end."""
        close: Any = getattr(self._pieces, "close", None)
        if close is not None:
            close()

    def finish(self, reason: str) -> None:
        """Tell the reader that there is no more."""
        self._answers.put(Ended(None))

    def fail(self, error: BaseException) -> None:
        """Raise the error where the reader waits; one that says that the device is full as a sentence."""
        if out_of_memory(error) and not isinstance(error, FoolscopeError):
            error = OutOfMemory(FULL, device=self.model.mean.device, model=self.model.card.title)
        self._answers.put(Ended(error if isinstance(error, Exception) else FoolscopeError(words(error))))

    def set_status(self, status: str) -> None:
        """Do nothing: a probe is not paused."""
