"""How far a probe is, and how many rows a piece of it takes, so that it is over in about `SECONDS`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.device import free_memory, out_of_memory

SECONDS = 0.12
"""What a piece is to take: well below the .2 s that a probe may hold runs up."""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` parts of a probe's work are done."""

    done: int
    total: int


class Pace:
    """Learns from each piece how many rows the next may have: ``first`` in the first, ``most`` at most."""

    def __init__(self, most: int = 32, first: int = 1) -> None:
        self.rows, self._most = first, most

    def parts(self, count: int) -> Iterator[slice]:
        """Yield the slices of ``count`` rows, piece by piece."""
        start = 0
        while start < count:
            stop = min(start + self.rows, count)
            yield slice(start, stop)
            start = stop

    def in_parts(self, ask: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Return what ``ask`` answers for ``x``, a row for each of its rows: in parts where the device has no
        memory for all of them, and the pieces after this one have no more rows than went well.

        Raises what ``ask`` raises, out of memory for a single row too.
        """
        try:
            return ask(x)
        except Exception as error:
            if len(x) == 1 or not out_of_memory(error):
                raise
        free_memory(x.device)  # here, where what failed is no longer held by the error
        half = self._most = (len(x) + 1) // 2
        return torch.cat([self.in_parts(ask, part) for part in x.split(half)])

    @contextmanager
    def piece(self, rows: int) -> Iterator[None]:
        """Time the computing of ``rows`` inside the ``with`` block."""
        began = time.perf_counter()
        yield
        seconds = max(time.perf_counter() - began, 1e-6)
        fitting = int(rows * SECONDS / seconds)
        self.rows = max(1, min(fitting, 2 * max(rows, self.rows), self._most))
