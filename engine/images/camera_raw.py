"""A camera's raw file: what the sensor measured, and beside it one or more JPEG previews, which are what is
shown of it here. DNG, CR2, NEF, ARW, PEF and SRW are TIFF files; others have their own beginnings."""

from __future__ import annotations

import re
from itertools import islice
from typing import NamedTuple

from engine.images import tiff

MOST_PREVIEWS = 256
_OWN_MAGIC = re.compile(rb"IIU\0|II(RO|RS)|MMOR|FUJIFILMCCD-RAW|FOVb|\0MRM|....ftypcrx ", re.DOTALL)
_CANON = re.compile(rb"II\*\0....CR", re.DOTALL)
_SENSOR = (32803, 34892)
"""Photometric interpretations: a mosaic of colour filters, and the same made linear."""
_JPEG = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_SHOWABLE = (0xC0, 0xC1, 0xC2)
"""JPEG frames that are pictures: baseline, extended, progressive. What a sensor measured is C3, lossless."""


class Preview(NamedTuple):
    """Where an embedded JPEG begins, and its size in pixels."""

    at: int
    width: int
    height: int


def is_raw(data: bytes) -> bool:
    """Say whether ``data`` is a camera's raw file."""
    if _OWN_MAGIC.match(data) or _CANON.match(data):
        return True
    return any(tiff.DNG_VERSION in directory or _measured(directory) for directory in tiff.directories(data))


def previews(data: bytes) -> list[Preview]:
    """Return the JPEG pictures inside a raw file, the largest first, without what the sensor measured."""
    sensor = {
        start
        for directory in tiff.directories(data)
        for tag in (tiff.STRIP_OFFSETS, tiff.TILE_OFFSETS)
        if _measured(directory) and tag in directory
        for start in directory[tag]
    }
    starts = (hit.start() for hit in islice(_JPEG.finditer(data), MOST_PREVIEWS))
    sizes = ((start, _size(data, start)) for start in starts if start not in sensor)
    pictures = [Preview(start, *size) for start, size in sizes if size is not None]
    return sorted(pictures, key=lambda preview: preview.width * preview.height, reverse=True)


def orientation(data: bytes) -> int:
    """Return how the camera was held, as EXIF writes it; 1, upright, where the file does not say."""
    first = next(iter(tiff.directories(data)), {})
    return first.get(tiff.ORIENTATION, (1,))[0]


def _measured(directory: tiff.Directory) -> bool:
    """Say whether a directory is that of the sensor's own values."""
    return directory.get(tiff.PHOTOMETRIC, (0,))[0] in _SENSOR


def _size(data: bytes, start: int) -> tuple[int, int] | None:
    """Return width and height of the JPEG picture that begins at ``start``; None if there is none."""
    at = start + 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind in _SHOWABLE:
            height, width = (int.from_bytes(data[at + n : at + n + 2]) for n in (5, 7))
            return (width, height) if width and height else None
        if not 0xC4 <= kind <= 0xFE or 0xD0 <= kind <= 0xDA or kind in range(0xC5, 0xCC):
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
