"""A camera's raw file is shown by its largest preview, and says so; without one it is refused by name."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.images import sources, tiff
from engine.images.sources import RAW_PREVIEW, Uploads, decode, examine
from errors import BadImage
from tests.engine.images.test_sources import blocks, pixels, saved

REDUCED, COMPRESSION, BITS, SAMPLES, SPLIT = 254, 259, 258, 277, 278
MOSAIC, RGB, YCBCR = 32803, 2, 6
Tags = dict[int, Any]


def preview(side: int, **options: Any) -> bytes:
    """Return a JPEG of 3 x 2 squares, each with that side."""
    return saved(Image.fromarray(blocks(side=side)), "JPEG", quality=95, subsampling=0, **options)


def raw(
    first: Tags, *below: Tags, order: str = "<", magic: bytes = b"", following: Tags | None = None
) -> bytes:
    """Return a TIFF file: its first directory, those ``below`` it, and the one ``following``.

    A value of bytes stands for the place at which they are put, and adds their count under the tag beside.
    """
    mark = {"<": b"II", ">": b"MM"}[order]
    body = bytearray(magic or mark + struct.pack(f"{order}H", 42) + bytes(12))

    def put(data: bytes) -> int:
        body.extend(bytes(len(body) % 2) + data)
        return len(body) - len(data)

    def directory(tags: Tags, after: int = 0) -> int:
        plain: dict[int, list[int]] = {}
        for tag, value in tags.items():
            if isinstance(value, bytes):
                counts = {tiff.STRIP_OFFSETS: tiff.STRIP_BYTES, 513: 514}
                plain[tag], plain[counts[tag]] = [put(value)], [len(value)]
            else:
                plain[tag] = value if isinstance(value, list) else [value]
        entries = b""
        for tag, values in sorted(plain.items()):
            packed = struct.pack(f"{order}{len(values)}I", *values)
            place = packed if len(values) == 1 else struct.pack(f"{order}I", put(packed))
            entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + place
        return put(struct.pack(f"{order}H", len(plain)) + entries + struct.pack(f"{order}I", after))

    last = directory(following) if following else 0
    inner = {tiff.SUB_DIRECTORIES: [directory(tags) for tags in below]} if below else {}
    struct.pack_into(f"{order}I", body, 4, directory(first | inner, last))
    return bytes(body)


def thumbnail(width: int = 160, height: int = 120) -> Tags:
    size = {REDUCED: 1, 256: width, 257: height, BITS: 8, SAMPLES: 3, SPLIT: height}
    return size | {COMPRESSION: 1, tiff.PHOTOMETRIC: RGB, tiff.STRIP_OFFSETS: bytes(3 * width * height)}


def strip(jpeg: bytes) -> Tags:
    return {REDUCED: 1, COMPRESSION: 7, tiff.PHOTOMETRIC: YCBCR, tiff.STRIP_OFFSETS: jpeg}


def sensor(data: bytes | None = None) -> Tags:
    values = np.random.default_rng(0).bytes(60_000) if data is None else data
    return {REDUCED: 0, COMPRESSION: 7, tiff.PHOTOMETRIC: MOSAIC, tiff.STRIP_OFFSETS: values}


def lossless(side: int) -> bytes:
    """Return what has the head of a lossless JPEG, as in a raw file."""
    return preview(side).replace(b"\xff\xc0", b"\xff\xc3", 1)


DNG: Tags = {tiff.DNG_VERSION: 0x00000401}
FILES = {
    "dng": raw(thumbnail() | DNG, strip(preview(100)), sensor(), strip(preview(300))),
    "dng, big-endian": raw(thumbnail() | DNG, sensor(), strip(preview(300)), order=">"),
    "dng, compressed": raw(thumbnail() | DNG, sensor(lossless(900)), strip(preview(300))),
    "dng, lossy": raw(thumbnail() | DNG, sensor(preview(900)), strip(preview(300))),
    "nef": raw(thumbnail(), {REDUCED: 1, 513: preview(300)}, sensor()),
    "arw": raw({REDUCED: 1, 513: preview(300)}, sensor(), following={513: preview(20)}),
    "cr2": raw(
        {COMPRESSION: 6, tiff.STRIP_OFFSETS: preview(300)},
        magic=b"II*\0\0\0\0\0CR\2\0\0\0\0\0",
        following={COMPRESSION: 6, tiff.STRIP_OFFSETS: lossless(900)},
    ),
    "rw2": raw({0x2E: [0]} | {513: preview(300)}, magic=b"IIU\0" + bytes(12)),
    "orf": raw({513: preview(300)}, magic=b"IIRO" + bytes(12)),
    "raf": b"FUJIFILMCCD-RAW 0201FF159502" + bytes(100) + preview(300) + bytes(999),
    "cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(60) + preview(20) + bytes(9) + preview(300),
}


@pytest.mark.parametrize("case", FILES)
def test_the_largest_preview_is_shown_and_named(case: str) -> None:
    seen = examine(FILES[case], "a." + case[:3])
    assert seen.notes == ((RAW_PREVIEW, {"width": 900, "height": 600}),)
    assert np.abs(pixels(seen.picture) - blocks(side=300).astype(int)).mean() < 3


@pytest.mark.parametrize("first", [thumbnail() | DNG, thumbnail()])
def test_without_a_preview_it_is_refused_by_name(first: Tags) -> None:
    for measured in (sensor(), sensor(lossless(900))):
        with pytest.raises(BadImage, match="got a camera's raw file without a preview; save it as JPEG"):
            examine(raw(first, measured))


@pytest.mark.parametrize("start", [b"FUJIFILMCCD-RAW ", b"IIU\0", b"\0\0\0\x18ftypcrx ", b"FOVb", b"IIRO"])
def test_raw_files_with_beginnings_of_their_own_are_known(start: bytes) -> None:
    with pytest.raises(BadImage, match="raw file without a preview"):
        examine(start + bytes(500))


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_preview_is_turned_as_the_camera_was_held(order: str) -> None:
    turned = raw(thumbnail() | DNG | {tiff.ORIENTATION: 6}, strip(preview(300)), sensor(), order=order)
    assert np.abs(pixels(decode(turned)) - np.rot90(blocks(side=300), -1).astype(int)).mean() < 3


def test_a_preview_that_says_how_it_is_held_is_turned_once() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = raw(thumbnail() | DNG | {tiff.ORIENTATION: 3}, strip(preview(300, exif=exif)), sensor())
    assert np.abs(pixels(decode(turned)) - blocks(side=300)[::-1, ::-1].astype(int)).mean() < 3


def test_what_only_looks_like_a_preview_is_passed_over() -> None:
    false = b"\xff\xd8\xff\xc0\0\x11\x08\x10\0\x10\0\3" + bytes(40)
    seen = examine(raw(thumbnail() | DNG, strip(false), strip(preview(300)), sensor()))
    assert seen.notes[0][1] == {"width": 900, "height": 600}


def test_an_ordinary_tiff_is_none() -> None:
    jpeg = saved(Image.fromarray(blocks()), "TIFF", compression="jpeg", quality=95)
    assert examine(jpeg).notes == () and examine(saved(Image.fromarray(blocks()), "TIFF")).notes == ()


def test_directories_that_go_round_in_circles_or_leave_the_file_end() -> None:
    looped = bytearray(raw({256: 5}, {257: 6}))
    (at,) = struct.unpack_from("<I", looped, 4)
    struct.pack_into("<I", looped, at + 2 + 12 * 2, at)
    assert tiff.directories(bytes(looped)) == [{256: (5,), 330: (16,)}, {257: (6,)}]
    struct.pack_into("<I", looped, 4, 10**9)
    assert tiff.directories(bytes(looped)) == []
    for cut in range(len(looped)):
        tiff.directories(bytes(looped[:cut]))


def test_a_raw_file_as_an_upload_keeps_its_note() -> None:
    uploads = Uploads()
    token = uploads.add(FILES["dng"], "IMG_0001.DNG")
    assert uploads.get(token).size == (900, 600)
    assert uploads.notes(token)[0][0] == sources.RAW_PREVIEW
