"""The directories of a TIFF file, read without decoding anything: what a camera's raw file is made of."""

from __future__ import annotations

import struct
from collections.abc import Iterator

SUB_DIRECTORIES, STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES = 330, 273, 279, 324, 325
ORIENTATION, PHOTOMETRIC, DNG_VERSION = 274, 262, 50706
MOST_DIRECTORIES = 64
MOST_VALUES = 1_000_000
_TYPES = {1: "B", 3: "H", 4: "I", 13: "I"}


Directory = dict[int, tuple[int, ...]]
"""The values of each tag of one directory: those that are whole numbers, and at least one."""


def directories(data: bytes) -> list[Directory]:
    """Return the directories of a TIFF file, those that hang below others included, as far as they are there.

    The first is the one that is shown; none for a file that is no TIFF, or a BigTIFF. At most
    `MOST_DIRECTORIES` are read. The magic number is not looked at, since raw files change it.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8 or data[2:4] in (b"+\0", b"\0+"):
        return []
    read: dict[int, Directory] = {}
    waiting = [struct.unpack_from(f"{order}I", data, 4)[0]]
    while waiting and len(read) < MOST_DIRECTORIES:
        at = waiting.pop(0)
        if at and at not in read and at + 2 <= len(data):
            read[at], following = _directory(data, order, at)
            below = read[at].get(SUB_DIRECTORIES, ())
            waiting += [*below, following]
    return list(read.values())


def _directory(data: bytes, order: str, at: int) -> tuple[Directory, int]:
    """Return the directory at ``at`` and where the next one is (0: nowhere)."""
    (count,) = struct.unpack_from(f"{order}H", data, at)
    entries = dict(_entries(data, order, at + 2, count))
    end = at + 2 + 12 * count
    return entries, struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0


def _entries(data: bytes, order: str, start: int, count: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    for at in range(start, min(start + 12 * count, len(data) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, at)
        if kind not in _TYPES or not 0 < number <= MOST_VALUES:
            continue
        size = struct.calcsize(_TYPES[kind]) * number
        place = at + 8 if size <= 4 else struct.unpack_from(f"{order}I", data, at + 8)[0]
        if place + size <= len(data):
            form = f"{order}{number}{_TYPES[kind]}"
            yield tag, struct.unpack_from(form, data, place)
