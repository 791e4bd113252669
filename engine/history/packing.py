"""Arrays as bytes for the database: NumPy archives, of which nothing is unpickled."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.run import SCALARS, Floats
from engine.saved import whole
from errors import UnknownName

SMALL, QUICK = 6, 1
"""Levels of zlib: the second takes a quarter of the time."""
DAMAGED = "Expected a whole record of that run, got a damaged one. Press Run to compute it again."


@dataclass(frozen=True)
class Rows:
    """Consecutive steps: ``scalars`` ``(steps, figures)``, the figures of `engine.run.SCALARS`; ``log_p``
    ``(steps, classes)``, natural-log probabilities of every class."""

    scalars: Floats
    log_p: Floats


def pack_rows(
    scalars: Floats, log_p: npt.NDArray[Any], classes: Sequence[int] | None = None, level: int = SMALL
) -> bytes:
    """Return steps as bytes; ``log_p`` ``(steps, n)`` is of ``classes``, None for all of them. ``level``: of
    zlib, `QUICK` for what is written again soon."""
    named = np.array([] if classes is None else classes, np.int32)
    return _pack(level, scalars=scalars, figures=np.array(SCALARS), log_p=log_p, classes=named)


def unpack_rows(blob: bytes, count: int) -> Rows:
    """Return the steps that `pack_rows` made bytes of, of a network of ``count`` classes.

    Raises `errors.UnknownName` when they are damaged.
    """
    parts = _unpack(blob, "scalars", "figures", "log_p", "classes")
    scalars, figures, log_p, classes = parts
    table = np.full((len(scalars), len(SCALARS)), np.nan, np.float32)
    for column, name in enumerate(figures.tolist()):
        if name in SCALARS:
            table[:, SCALARS.index(name)] = scalars[:, column]
    return Rows(table, whole(log_p, classes.tolist(), count) if len(classes) else log_p.astype(np.float32))


def pack_array(array: npt.NDArray[Any], level: int = SMALL) -> bytes:
    """Return an array as bytes; ``level`` as for `pack_rows`."""
    return _pack(level, array=array)


def unpack_array(blob: bytes) -> npt.NDArray[Any]:
    """Return the array that `pack_array` made bytes of; raises `errors.UnknownName` when they are damaged."""
    return _unpack(blob, "array")[0]


def _pack(level: int, **arrays: npt.NDArray[Any]) -> bytes:
    """Return what `numpy.savez_compressed` writes, whose level nobody can choose."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as part:
                np.lib.format.write_array(part, array, allow_pickle=False)
    return file.getvalue()


def _unpack(blob: bytes, *names: str) -> list[npt.NDArray[Any]]:
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as file:
            return [file[name] for name in names]
    except (ValueError, KeyError, EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise UnknownName(DAMAGED) from error
