"""Files that end too early show what they hold, and say so; those that hold no picture are refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import settings
from engine.images import sources
from engine.images.sources import COARSE, CUT_OFF, Decoded, Uploads, decode, examine
from errors import BadImage
from experiments.datasets.photos import photographs
from tests.engine.images.test_sources import (
    AS_SERVED,
    CLOSE,
    EXACT,
    chunk,
    claims,
    pixels,
    png,
    saved,
    swapped_profile,
)

GREY = 128
FILES = [settings.SAMPLES / s.file for s in sources.samples().values() if s.file]
FILES += [each.path for each in photographs().values()]


def smooth(side: int = 192) -> np.ndarray:
    """Return a picture ``(side, side, 3)`` with something to see everywhere, and no flat grey."""
    y, x = np.mgrid[:side, :side] / side
    waves = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * y - 5 * x), np.sin(11 * x * y + 1)], 2)
    noise = np.random.default_rng(0).normal(0, 6, (side, side, 3))
    return (160 + 70 * waves + noise).clip(0, 255).astype(np.uint8)


def refusal(data: bytes) -> str:
    with pytest.raises(BadImage) as caught:
        examine(data)
    return str(caught.value)


def shown(decoded: Decoded, whole: np.ndarray, tolerance: int) -> tuple[float, float]:
    """Return how much of a picture is as it was, and how much is flat grey; both in [0, 1]."""
    levels = pixels(decoded.picture)
    return float(all_alike(levels, whole, tolerance).mean()), float(all_alike(levels, GREY, 2).mean())


def all_alike(levels: np.ndarray, to: np.ndarray | int, tolerance: int) -> np.ndarray:
    """Return where all three channels are within ``tolerance``; one by one, as `np.all` over an axis of three
    takes ten times as long."""
    red, green, blue = np.moveaxis(np.abs(levels - to) <= tolerance, 2, 0)
    return np.asarray(red & green & blue)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_photos_without_their_last_byte_and_of_half_their_bytes(path: Path) -> None:
    data = path.read_bytes()
    whole = pixels(decode(data))
    less = examine(data[:-1])
    assert shown(less, whole, 0)[0] > 0.995
    assert {note for note, _ in less.notes} <= {COARSE}
    half = examine(data[: len(data) // 2])
    same, grey = shown(half, whole, 40)
    assert same > 0.3 and len(half.notes) == 1
    assert (grey > 0.2) == (half.notes[0][0] == CUT_OFF)
    assert same + grey > 0.85


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("count", [20, 64])
def test_photos_of_which_only_the_header_is_there_are_refused(path: Path, count: int) -> None:
    assert "cut off, damaged or of a rare kind" in refusal(path.read_bytes()[:count])


LEFT: dict[str, tuple[str, dict[str, Any]]] = {
    **{case: EXACT[case] for case in ("png", "webp", "bmp", "tiff")},
    "gif": ("GIF", {"interlace": 0}),
    "jpeg": CLOSE["jpeg"],
    "jpeg, restarts": ("JPEG", {"quality": 95, "subsampling": 0, "restart_marker_rows": 1}),
    "webp, lossy": CLOSE["webp"],
    "webp, moving": ("WEBP", {"save_all": True, "append_images": [Image.new("RGB", (192, 192), "red")]}),
    "heic": CLOSE["heic"],
}


@pytest.mark.parametrize("case", LEFT)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_what_there_is_is_shown_and_the_rest_is_grey(case: str, share: float) -> None:
    kind, options = LEFT[case]
    data = saved(Image.fromarray(smooth()), kind, **options)
    whole, cut = pixels(decode(data)), examine(data[: int(share * len(data))])
    same, grey = shown(cut, whole, 2 if case in EXACT or case == "gif" else 30)
    assert [note for note, _ in cut.notes] == [CUT_OFF]
    assert share - 0.25 < same < share + 0.2
    assert 0.8 - share < grey and 0.9 < same + grey < 1.1


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "I;16"])
def test_every_kind_of_png_pixel_is_left_grey_below_the_cut(mode: str) -> None:
    levels = smooth()
    picture = Image.fromarray(levels).quantize(50) if mode == "P" else Image.fromarray(levels).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    elif mode not in "LP":
        picture = Image.fromarray(levels).convert(mode)
    data = saved(picture, "PNG")
    cut = examine(data[: int(0.6 * len(data))])
    levels, whole = pixels(cut.picture), pixels(decode(data))
    last = int((levels == whole).all((1, 2)).argmin())
    assert 0.5 < last / 192 < 0.75
    assert (levels[last:] == GREY).all() and [note for note, _ in cut.notes] == [CUT_OFF]


def test_a_transparent_png_is_left_grey_and_not_white() -> None:
    levels = np.dstack([smooth(), np.full((192, 192), 200, np.uint8)])
    data = saved(Image.fromarray(levels), "PNG")
    assert (pixels(examine(data[: len(data) // 2]).picture)[150:] == GREY).all()


def test_a_cut_off_picture_is_turned_upright_all_the_same() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, options in (("PNG", {}), ("JPEG", CLOSE["jpeg"][1])):
        data = saved(Image.fromarray(smooth()), kind, exif=exif, **options)
        levels = pixels(examine(data[: int(0.6 * len(data))]).picture)
        assert (np.abs(levels[:, :48] - GREY) <= 2).all()
        assert np.abs(levels[:, 120:] - pixels(decode(data))[:, 120:]).mean() < 1


@pytest.mark.parametrize("kind", ["JPEG", "GIF"])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_pictures_that_come_from_coarse_to_fine_stay_coarse(kind: str, share: float) -> None:
    y, x = np.mgrid[:192, :192]
    picture = Image.fromarray(np.stack([x + 30, y + 30, (x + y) // 2], 2).astype(np.uint8))
    data = saved(
        picture, kind, **({"progressive": True, "quality": 95} if kind == "JPEG" else {"interlace": 1})
    )
    cut = examine(data[: int(share * len(data))])
    assert [note for note, _ in cut.notes] == [COARSE]
    enlarged = np.asarray(cut.picture.resize((192, 192))).astype(int)
    assert np.abs(enlarged - pixels(decode(data))).mean() < 12


def adam7(levels: np.ndarray) -> bytes:
    """Return ``levels (h, w, 3)`` as an interlaced PNG."""
    rows = b""
    for left, top, across, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in levels[top::down, left::across])
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 8, 2, 0, 0, 1)
    body = chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


@pytest.mark.parametrize(("share", "step"), [(1.0, 1), (0.7, 2), (0.3, 2), (0.2, 4), (0.1, 4), (0.02, 8)])
def test_an_interlaced_png_is_shown_as_fine_as_it_came(share: float, step: int) -> None:
    levels = smooth(96)
    data = adam7(levels)
    cut = examine(data if share == 1 else data[: int(share * len(data))])
    assert (pixels(cut.picture) == levels[::step, ::step]).all()
    assert [note for note, _ in cut.notes] == ([] if share == 1 else [COARSE])


def test_bytes_that_are_lost_behind_the_picture_are_no_loss() -> None:
    data = saved(Image.fromarray(smooth()), "PNG")
    for lost in (1, 4, 8, 12, 14):
        cut = examine(data[:-lost])
        assert cut.notes == () and (pixels(cut.picture) == smooth()).all()


def test_damage_in_the_middle_of_a_png_costs_what_follows() -> None:
    data = bytearray(saved(Image.fromarray(smooth()), "PNG"))
    data[len(data) // 2] ^= 0xFF
    cut = examine(bytes(data))
    assert [note for note, _ in cut.notes] == [CUT_OFF]
    assert (pixels(cut.picture)[:64] == smooth()[:64]).all()


@AS_SERVED
@pytest.mark.parametrize("case", ["tiff, lzw", "tiff, deflate", "tiff, jpeg", "avif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_where_the_decoder_cannot_go_on_it_is_refused_or_right(case: str, share: float) -> None:
    kind, options = (EXACT | CLOSE)[case]
    data = saved(Image.fromarray(smooth()), kind, **options)
    try:
        cut = examine(data[: int(share * len(data))])
    except BadImage as error:
        assert "cut off, damaged" in str(error)
    else:
        assert sum(shown(cut, pixels(decode(data)), 30)) > 0.9


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG", "TIFF", "WEBP"])
def test_a_bomb_that_is_cut_off_is_still_refused_by_its_header(kind: str) -> None:
    data = claims(kind, 16000, 16000)
    assert "at most 50 megapixels" in refusal(data[:-3])


def test_an_upload_keeps_its_notes() -> None:
    uploads, data = Uploads(), saved(Image.fromarray(smooth()), "PNG")
    whole, cut = uploads.add(data), uploads.add(data[: len(data) // 2])
    assert uploads.notes(whole) == () and uploads.notes(cut) == ((CUT_OFF, {}),)


# What a PNG carries beside its pixels.


def heavy(kind: bytes, size: int) -> bytes:
    """Return a PNG chunk of ``kind`` that unpacks to ``size`` bytes of which none repeat."""
    body = np.random.default_rng(1).bytes(size)
    if kind == b"iCCP":
        profile = swapped_profile()
        return chunk(kind, b"large\0\0" + zlib.compress(profile + body[len(profile) :], 0))
    if kind == b"zTXt":
        return chunk(kind, b"Comment\0\0" + zlib.compress(body, 0))
    if kind == b"iTXt":
        return chunk(kind, b"Comment\0\1\0\0\0" + zlib.compress(body, 0))
    return chunk(
        kind, b"Comment\0" + body.replace(b"\0", b" ") if kind == b"tEXt" else b"MM\0*\0\0\0\x08" + body
    )


@AS_SERVED
@pytest.mark.parametrize("megabytes", [1.5, 9])
@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"eXIf"])
def test_a_png_with_heavy_luggage_is_decoded(kind: bytes, megabytes: float) -> None:
    levels = np.full((16, 16, 3), (250, 10, 100), np.uint8)
    shown = examine(png(levels, 2, 8, heavy(kind, int(megabytes * 2**20))))
    expected = (10, 250, 100) if kind == b"iCCP" else (250, 10, 100)
    assert np.abs(pixels(shown.picture) - expected).max() <= 6 and shown.notes == ()


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt"])
def test_luggage_that_unpacks_beyond_all_bounds_is_left_behind(kind: bytes) -> None:
    levels = smooth(16)
    packed = {b"iCCP": b"large\0\0", b"zTXt": b"Comment\0\0", b"iTXt": b"Comment\0\1\0\0\0"}[kind]
    bomb = chunk(kind, packed + zlib.compress(bytes(80 * 2**20), 9))
    assert len(bomb) < 2**20
    shown = examine(png(levels, 2, 8, bomb * 2))
    assert (pixels(shown.picture) == levels).all() and shown.notes == ()
