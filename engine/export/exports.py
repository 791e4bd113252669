"""What can be downloaded of a run, made when it is asked for and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Protocol

from PIL import Image

from engine.export.making import Export, Making, Wanted
from engine.images.sources import PREPARED
from engine.run import Run
from engine.work import CarriesOut, only_answer

LIMIT = 256 * 2**20
"""Bytes of exports that are remembered."""
TURNS = 16
"""So many runs' files are made at a time at most; those of one run one after the other."""


class Asked(CarriesOut, Protocol):
    """What an export asks of an engine."""

    def picture(self, image: str) -> Image.Image:
        """Return the image of that name."""


class Exports:
    """Makes files of runs; those made last are remembered. Safe to share between threads."""

    def __init__(self, engine: Asked, limit: int = LIMIT) -> None:
        self._engine, self._limit = engine, limit
        self._files: OrderedDict[tuple[str, Wanted], Export] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = tuple(threading.Lock() for _ in range(TURNS))

    def known(self, run: Run, wanted: Wanted) -> Export | None:
        """Return a file if it was made before."""
        with self._lock:
            return self._files.get((run.id, wanted))

    def get(self, run: Run, wanted: Wanted) -> Export:
        """Return a file of ``run``, which is read back and classified.

        Raises `errors.FoolscopeError` where there is no such file: a step that is not there, or a photo's own
        size for a digit that was prepared.
        """
        with self._turns[hash(run.id) % TURNS]:
            known = self.known(run, wanted)
            if known is None:
                photo = self._engine.picture(run.recipe.image.removeprefix(PREPARED))
                known = only_answer(self._engine, Making.of(run, wanted, photo))
                self._remember(run, wanted, known)
            return known

    def forget(self, runs: Collection[str]) -> None:
        """Let go of the files of these runs."""
        with self._lock:
            for key in [key for key in self._files if key[0] in runs]:
                del self._files[key]

    def _remember(self, run: Run, wanted: Wanted, export: Export) -> None:
        with self._lock:
            self._files[run.id, wanted] = export
            while sum(len(each.data) for each in self._files.values()) > self._limit and len(self._files) > 1:
                self._files.popitem(last=False)
