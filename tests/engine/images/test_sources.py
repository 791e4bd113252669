"""Every kind of file that visitors send, made here for real, and everything that must be refused."""

from __future__ import annotations

import hashlib
import io
import random
import re
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from engine.images import sources
from engine.images.sources import Uploads, decode
from errors import BadImage, UnknownName
from settings import SAMPLES

Array = np.ndarray
# Pillow warns of oddities in a file while it decodes it all the same; a server does not stop at that.
AS_SERVED = pytest.mark.filterwarnings("ignore::UserWarning")


def blocks(rows: int = 2, columns: int = 3, side: int = 16) -> Array:
    """Return a picture ``(h, w, 3)`` of single-coloured squares, all different, none symmetric."""
    colours = np.random.default_rng(5).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    return colours.repeat(side, axis=0).repeat(side, axis=1)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(file, **options)
    else:
        picture.save(file, kind, **options)
    return file.getvalue()


def pixels(picture: Image.Image) -> Array:
    assert type(picture) is Image.Image and picture.mode == "RGB" and picture.info == {}
    return np.asarray(picture).astype(int)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(levels: Array, colour: int, depth: int, extra: bytes = b"") -> bytes:
    """Return a PNG of ``levels (h, w, c)``, whose dtype is already of the file's depth."""
    height, width = levels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


EXACT: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "webp": ("WEBP", {"lossless": True}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "tiff, lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "tiff, deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "gif": ("GIF", {}),
}
CLOSE: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg, progressive": ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
    "webp": ("WEBP", {"quality": 95}),
    "tiff, jpeg": ("TIFF", {"compression": "jpeg", "quality": 95}),
    "heic": ("HEIF", {"quality": 95}),
    "avif": ("AVIF", {"quality": 95}),
}


@pytest.mark.parametrize("case", EXACT)
def test_exact_formats_come_back_exactly(case: str) -> None:
    kind, options = EXACT[case]
    assert (pixels(decode(saved(Image.fromarray(blocks()), kind, **options))) == blocks()).all()


@pytest.mark.parametrize("case", CLOSE)
def test_lossy_formats_come_back_closely(case: str) -> None:
    kind, options = CLOSE[case]
    shown = pixels(decode(saved(Image.fromarray(blocks()), kind, **options)))
    assert shown.shape == blocks().shape
    assert np.abs(shown - blocks().astype(int)).mean() < 6


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("case", ["png", "webp", "tiff", "tiff, lzw"])
def test_exif_orientation_exactly(case: str, orientation: int) -> None:
    kind, options = EXACT[case]
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = pixels(decode(saved(Image.fromarray(blocks()), kind, exif=exif, **options)))
    assert (shown == TURNED[orientation](blocks())).all()


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("case", ["jpeg", "heic", "avif"])
def test_exif_orientation_of_phones(case: str, orientation: int) -> None:
    kind, options = CLOSE[case]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(blocks(side=64)), kind, exif=exif.tobytes(), **options)
    expected = TURNED[orientation](blocks(side=64)).astype(int)
    shown = pixels(decode(data))
    assert shown.shape == expected.shape
    assert np.abs(shown - expected)[32::64, 32::64].max() < 12


@AS_SERVED
@pytest.mark.parametrize("damage", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0garbage!" * 9])
def test_damaged_exif_costs_the_rotation_and_not_the_picture(damage: bytes) -> None:
    data = saved(Image.fromarray(blocks()), "JPEG", quality=95, subsampling=0, exif=damage)
    assert np.abs(pixels(decode(data)) - blocks().astype(int)).mean() < 6


def test_where_it_was_taken_does_not_travel_on() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a phone"
    exif.get_ifd(0x8825)[1] = "N"
    picture = decode(saved(Image.fromarray(blocks()), "JPEG", exif=exif, comment=b"at home"))
    assert picture.info == {} and len(picture.getexif()) == 0
    assert b"a phone" not in saved(picture, "JPEG")


# Deep, thin, coloured and transparent pixels.


def test_sixteen_bit_grey_png() -> None:
    ramp = np.arange(65536, dtype=">u2").reshape(256, 256, 1)
    shown = pixels(decode(png(ramp, 0, 16)))
    assert (shown == np.rint(ramp.astype(float) / 257)).all()


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_grey_tiff(order: str) -> None:
    ramp = np.linspace(0, 65535, 48 * 32).astype(order).reshape(32, 48)
    mode = "I;16B" if order == ">u2" else "I;16"
    data = saved(Image.frombytes(mode, (48, 32), ramp.tobytes()), "TIFF")
    assert (pixels(decode(data)) == np.rint(ramp.astype(float) / 257)[..., None]).all()


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_sixteen_bit_colour_and_alpha_png(colour: int, channels: int) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (16, 24, channels)).astype(">u2")
    if channels != 3:
        levels[..., -1] = 65535
    shown = pixels(decode(png(levels, colour, 16)))
    expected = levels.astype(float)[..., : 3 if channels > 2 else 1] / 257
    assert np.abs(shown - expected).max() <= 1


def test_thirty_two_bit_integers_in_sixteen_bit_range_and_beyond() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.int32).reshape(8, 8)
    assert (pixels(decode(saved(Image.fromarray(ramp), "TIFF"))) == np.rint(ramp / 257)[..., None]).all()
    wide = ramp * 3 - 70_000
    shown = pixels(decode(saved(Image.fromarray(wide), "TIFF")))
    assert (shown == np.rint((wide - wide.min()) * 255.0 / np.ptp(wide))[..., None]).all()


def test_float_tiff_in_the_unit_range_is_taken_as_it_is() -> None:
    ramp = np.linspace(0.2, 0.6, 64, dtype=np.float32).reshape(8, 8)
    assert (pixels(decode(saved(Image.fromarray(ramp), "TIFF"))) == np.rint(ramp * 255.0)[..., None]).all()


def test_float_tiff_in_another_range_is_stretched() -> None:
    ramp = np.linspace(-3, 12, 64, dtype=np.float32).reshape(8, 8)
    shown = pixels(decode(saved(Image.fromarray(ramp), "TIFF")))
    assert (shown[0, 0], shown[-1, -1]) == (pytest.approx([0] * 3), pytest.approx([255] * 3))
    assert np.abs(shown[..., 0] - (ramp + 3) / 15 * 255).max() <= 0.51
    flat = saved(Image.fromarray(np.full((4, 4), 7.5, dtype=np.float32)), "TIFF")
    assert (pixels(decode(flat)) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_tiff_with_no_number_is_refused(bad: float) -> None:
    levels = np.zeros((4, 4), dtype=np.float32)
    levels[1, 2] = bad
    with pytest.raises(BadImage, match="NaN or infinity"):
        decode(saved(Image.fromarray(levels), "TIFF"))


def on_white(levels: Array, alpha: Array) -> Array:
    cover = alpha.astype(float)[..., None] / 255
    return levels * cover + 255 * (1 - cover)


@pytest.mark.parametrize("case", ["png", "webp", "tiff"])
def test_transparency_is_laid_on_white(case: str) -> None:
    kind, options = EXACT[case]
    alpha = np.linspace(0, 255, 32 * 48).round().astype(np.uint8).reshape(32, 48)
    picture = Image.fromarray(np.dstack([blocks(), alpha]))
    shown = pixels(decode(saved(picture, kind, **({"exact": True} if case == "webp" else {}), **options)))
    assert np.abs(shown - on_white(blocks(), alpha)).max() <= 1


def test_transparent_heic() -> None:
    alpha = np.zeros((128, 192), dtype=np.uint8)
    alpha[:, 96:] = 255
    shown = pixels(decode(saved(Image.fromarray(np.dstack([blocks(side=64), alpha])), "HEIF", quality=95)))
    assert shown[:, :80].min() >= 250
    assert np.abs(shown - blocks(side=64).astype(int))[32, 160].max() < 12


def test_grey_with_alpha() -> None:
    levels = np.full((4, 4, 2), (100, 51), dtype=np.uint8)
    assert (pixels(decode(png(levels, 4, 8))) == 224).all()


def test_one_transparent_grey_level() -> None:
    levels = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    shown = pixels(decode(png(levels, 0, 8, chunk(b"tRNS", struct.pack(">H", 7)))))
    expected = np.where(levels == 7, 255, levels)
    assert (shown == expected).all()


@pytest.mark.parametrize("clear", [None, 2, b"\xff\x80\x00"])
def test_palettes(clear: int | bytes | None) -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], dtype=np.uint8))
    picture.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 255])
    data = saved(picture, "PNG", **({} if clear is None else {"transparency": clear}))
    colours = np.array([(10, 20, 30), (200, 100, 50), (0, 0, 255)], dtype=float)
    if clear is not None:
        colours[2] = 255
    if isinstance(clear, bytes):
        colours[1] = on_white(colours[1][None], np.array([128]))
    assert np.abs(pixels(decode(data)) - colours[[[0, 1], [2, 1]]]).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit(kind: str) -> None:
    dots = np.random.default_rng(2).random((9, 11)) > 0.5
    assert (pixels(decode(saved(Image.fromarray(dots), kind))) == dots[..., None] * 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG"])
def test_grey(kind: str) -> None:
    grey = np.linspace(10, 240, 64 * 64).round().astype(np.uint8).reshape(64, 64)
    assert np.abs(pixels(decode(saved(Image.fromarray(grey), kind))) - grey[..., None]).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_inks_darken(kind: str) -> None:
    inks = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 0, 0, 255): (0, 0, 0)}
    for ink, colour in inks.items():
        shown = pixels(decode(saved(Image.new("CMYK", (16, 16), ink), kind)))
        assert np.abs(shown - colour).max() <= 3


def test_ycbcr_and_lab_tiff() -> None:
    rgb = Image.fromarray(blocks())
    ycbcr = saved(rgb.convert("YCbCr"), "TIFF", compression="tiff_lzw")
    assert np.abs(pixels(decode(ycbcr)) - blocks().astype(int)).max() <= 3
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    colours = ImageCms.profileToProfile(rgb, srgb, lab, outputMode="LAB")
    assert colours is not None
    assert np.abs(pixels(decode(saved(colours, "TIFF"))) - blocks().astype(int)).mean() < 4


def swapped_profile() -> bytes:
    """Return the sRGB profile with red and green exchanged, under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "GRBx".encode("utf-16-be"))
    return profile.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_colour_profiles_are_converted(kind: str) -> None:
    data = saved(Image.new("RGB", (16, 16), (250, 10, 100)), kind, icc_profile=swapped_profile())
    assert np.abs(pixels(decode(data)) - (10, 250, 100)).max() <= 6


def test_srgb_profile_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (pixels(decode(saved(Image.fromarray(blocks()), "PNG", icc_profile=profile))) == blocks()).all()


@pytest.mark.parametrize("size", [1, 40, 200, 400])
def test_a_damaged_profile_is_left_aside(size: int) -> None:
    for profile in (swapped_profile()[:size], random.Random(size).randbytes(size)):
        data = saved(Image.fromarray(blocks()), "PNG", icc_profile=profile)
        assert (pixels(decode(data)) == blocks()).all()


def test_a_profile_for_another_mode_is_left_aside() -> None:
    data = saved(Image.new("L", (8, 8), 77), "PNG", icc_profile=swapped_profile())
    assert (pixels(decode(data)) == 77).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_the_first(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("#c81e32", "#1ec832", "#321ec8")]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
    with Image.open(io.BytesIO(data)) as several:
        assert getattr(several, "n_frames", 1) == 3
    assert (pixels(decode(data)) == (200, 30, 50)).all()


def test_of_several_heic_pictures_the_primary() -> None:
    file = pillow_heif.from_pillow(Image.new("RGB", (64, 64), "#c81e32"))
    file.add_from_pillow(Image.new("RGB", (64, 64), "#321ec8"))
    data = io.BytesIO()
    file.save(data, quality=95, primary_index=1)
    assert np.abs(pixels(decode(data.getvalue())) - (50, 30, 200)).max() < 12


@pytest.mark.parametrize("case", ["png", "jpeg", "tiff, lzw", "webp"])
def test_large_pictures_are_made_small(case: str) -> None:
    kind, options = {**CLOSE, **EXACT}[case]
    shown = pixels(decode(saved(Image.fromarray(blocks(2, 3, 1500)), kind, **options)))
    assert shown.shape == (1365, 2048, 3)
    expected = blocks(2, 3, 1)[[[0], [1]], [0, 1, 2]]
    assert np.abs(shown[[[340], [1020]], [340, 1024, 1700]] - expected.astype(int)).max() < 8


@pytest.mark.parametrize(
    ("size", "expected"), [((1, 1), (1, 1)), ((1, 6000), (1, 2048)), ((6000, 1), (2048, 1))]
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_thin_pictures_are_fine(kind: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert decode(saved(Image.new("RGB", size, "red"), kind)).size == expected


def test_a_large_transparent_picture_keeps_its_edges_clean() -> None:
    """Colour hidden under full transparency must not bleed in when the picture is made smaller."""
    levels = np.zeros((64, 5000, 4), dtype=np.uint8)
    levels[:, :2500] = 0, 255, 0, 0
    levels[:, 2500:] = 255, 0, 0, 255
    shown = pixels(decode(saved(Image.fromarray(levels), "PNG")))
    assert (shown[:, :1000] == 255).all() and (shown[:, 1048:] == (255, 0, 0)).all()
    assert (shown[..., 1] == shown[..., 2]).all()


# What is refused.


def test_no_bytes() -> None:
    with pytest.raises(BadImage, match="empty file"):
        decode(b"", "holiday.jpg")


def test_twenty_megabytes_is_the_limit_of_the_file() -> None:
    whole = saved(Image.fromarray(blocks()), "PNG")
    assert (pixels(decode(whole.ljust(sources.MAX_BYTES, b"\0"))) == blocks()).all()
    with pytest.raises(BadImage, match=r"at most 20 MB, got 20\.1 MB"):
        decode(whole.ljust(sources.MAX_BYTES + 1, b"\0"))


def claims(kind: str, width: int, height: int) -> bytes:
    """Return a small file of ``kind`` whose header says that the picture is width x height."""
    small = Image.new("RGB", (64, 64), "red")
    if kind == "PNG":
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    if kind == "GIF":
        return b"GIF89a" + struct.pack("<HH", width, height) + saved(small, "GIF")[10:]
    if kind == "BMP":
        data = saved(small, "BMP")
        return data[:18] + struct.pack("<ii", width, height) + data[26:]
    if kind == "WEBP":
        frames = [Image.new("RGB", (64, 64), "blue")]
        data = saved(small, "WEBP", save_all=True, append_images=frames)
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return data[:24] + sides + data[30:]
    if kind == "JPEG":
        data = saved(small, "JPEG")
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
    if kind == "TIFF":
        data = saved(small, "TIFF")
        for tag, value in ((256, width), (257, height)):
            at = data.index(struct.pack("<H", tag)) + 8
            data = data[:at] + struct.pack("<I", value) + data[at + 4 :]
        return data
    data = saved(small, kind)
    return re.sub(
        rb"(ispe....).{8}", lambda m: m[1] + struct.pack(">II", width, height), data, flags=re.DOTALL
    )


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG", "TIFF", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("side", [7100, 9600, 16000])
def test_bombs_are_refused_by_their_header(kind: str, side: int) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with pytest.raises(BadImage, match=f"at most 50 megapixels, got {side} x {side}"):
            decode(claims(kind, side, side))
    assert heard == []


def test_a_png_that_claims_four_hundred_megapixels() -> None:
    with pytest.raises(BadImage, match=r"got 20000 x 20000 \(400\.0 megapixels\)"):
        decode(claims("PNG", 20000, 20000))


def test_just_below_the_limit_is_decoded() -> None:
    line = b"\0" + bytes(7000 // 8)
    body = chunk(b"IDAT", zlib.compress(line * 7000))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 7000, 7000, 1, 0, 0, 0, 0))
    assert decode(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b"")).size == (2048, 2048)


def test_a_phones_heic_of_48_megapixels_is_decoded() -> None:
    """8064 x 6048 pixels, as phones take; the files of iOS 18 name the brand of tone maps, too."""
    data = (Path(__file__).parent / "files" / "48_megapixels.heic").read_bytes()
    picture = decode(data.replace(b"miaf", b"tmap", 1))
    assert picture.size == (2048, 1536)
    pixels = np.asarray(picture)
    red, brown = pixels[100, 100], pixels[1500, 2000]
    assert np.abs(red - (250.0, 0.0, 0.0)).max() <= 6
    assert np.abs(brown - (120.0, 90.0, 60.0)).max() <= 6


@pytest.mark.parametrize("kind", ["PNG", "BMP", "JPEG", "TIFF"])
@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_no_pixels_is_refused(kind: str, size: tuple[int, int]) -> None:
    with pytest.raises(BadImage):
        decode(claims(kind, *size))


WHOLE = {case: saved(Image.fromarray(blocks()), kind, **o) for case, (kind, o) in (EXACT | CLOSE).items()}


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        (b"%PDF-1.7\n...", "a.pdf", "a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><svg width='9'>", "a.svg", "an SVG drawing"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.eps", "a PostScript drawing"),
        (b"\xc5\xd0\xd3\xc6" + bytes(40), "a.jpg", "a PostScript drawing"),
        (b"<!DOCTYPE html><html>", "a.png", "a web page"),
        (b"PK\x03\x04" + bytes(30), "a.zip", "a ZIP archive"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a.mp4", "a video"),
        (b"8BPS\0\1", "a.psd", "a Photoshop document"),
        (b"hello, world", "notes.TXT", r"begins with the text “hello, world” and is called \*\.txt\."),
        (b"\0\1\2\3\4\5\6\7\x08\x09", "", r"begins with the bytes 00 01 02 03 04 05 06 07\."),
        (b"<script>alert(1)</script>", "x.<b>", r"begins with the bytes 3c 73 63 72 69 70 74 3e\."),
    ],
)
def test_other_files_are_named(data: bytes, name: str, said: str) -> None:
    with pytest.raises(BadImage, match=said) as caught:
        decode(data, name)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("Expected a JPEG, PNG, WebP")


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "PCX", "SGI", "EPS", "PDF", "JPEG2000"])
def test_formats_off_the_list_are_refused_though_pillow_reads_them(kind: str) -> None:
    with pytest.raises(BadImage, match="Expected a JPEG, PNG, WebP"):
        decode(saved(Image.fromarray(blocks()), kind))


def refused_or_rgb(data: bytes) -> None:
    try:
        picture = decode(data, "x.jpg")
    except BadImage as error:
        assert 20 < len(str(error)) < 300 and "\n" not in str(error)
        return
    assert picture.mode == "RGB" and min(picture.size) >= 1 and max(picture.size) <= sources.MAX_SIDE


STARTS = [b"", *(data[:n] for data in WHOLE.values() for n in (4, 12, 40, 200))]
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@AS_SERVED
@FUZZ
@given(st.sampled_from(STARTS), st.binary(max_size=200))
def test_random_bytes(start: bytes, rest: bytes) -> None:
    refused_or_rgb(start + rest)


@AS_SERVED
@FUZZ
@given(
    st.sampled_from(list(WHOLE.values())),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    st.floats(0, 1),
)
def test_damaged_files(data: bytes, changes: list[tuple[float, int]], keep: float) -> None:
    damaged = bytearray(data)
    for where, value in changes:
        damaged[int(where**2 * len(damaged))] = value  # headers, being at the front, are hit more often
    refused_or_rgb(bytes(damaged[: int(len(damaged) * (1 - keep**4))]))


# Files, samples and uploads.


def test_read_file(tmp_path: Path) -> None:
    path = tmp_path / "a picture.png"
    path.write_bytes(saved(Image.fromarray(blocks()), "PNG"))
    assert (pixels(sources.read_file(path)) == blocks()).all()
    assert (pixels(sources.read_file(str(path))) == blocks()).all()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="there is no file .*nowhere.png"):
        sources.read_file(tmp_path / "nowhere.png")
    with pytest.raises(BadImage, match="the folder"):
        sources.read_file(tmp_path)
    (tmp_path / "notes.md").write_bytes(b"plain text")
    with pytest.raises(BadImage, match=r"called \*\.md"):
        sources.read_file(tmp_path / "notes.md")
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(23 * 2**20)
    with pytest.raises(BadImage, match=r"got 23\.0 MB"):
        sources.read_file(tmp_path / "huge.png")


def test_samples_ship_with_their_papers() -> None:
    known = sources.samples()
    for name, sample in known.items():
        assert sample.name == name
        assert all((sample.label, sample.alt, sample.author, sample.licence, sample.source))
        assert (sample.file is None) != (sample.kind is None)
    files = {path.name for path in SAMPLES.iterdir()} - {"index.json"}
    assert files == {sample.file for sample in known.values() if sample.file}
    assert sum((SAMPLES / file).stat().st_size for file in files) < 1_300_000


@pytest.mark.parametrize("name", list(sources.samples()))
def test_samples_open(name: str) -> None:
    picture = sources.open_sample(name)
    shown = pixels(picture)
    assert min(picture.size) >= 280 and max(picture.size) <= 640
    assert name in ("black", "grey") or shown.std() > 30


def test_computed_samples_are_the_same_everywhere() -> None:
    assert (pixels(sources.open_sample("black")) == 0).all()
    assert (pixels(sources.open_sample("grey")) == 128).all()
    noise = sources.open_sample("noise")
    assert noise.size == (480, 480)
    assert hashlib.sha256(noise.tobytes()).hexdigest()[:16] == "f8f7fb67fb447d51"
    assert np.abs(np.bincount(np.asarray(noise).ravel(), minlength=256) / 2700 - 1).max() < 0.1


def test_a_changed_sample_does_not_change_the_next_ones() -> None:
    sources.open_sample("grey").paste("red", (0, 0, 480, 480))
    assert (pixels(sources.open_sample("grey")) == 128).all()


def test_unknown_sample() -> None:
    with pytest.raises(UnknownName, match="did you mean: cat"):
        sources.open_sample("catt")
    with pytest.raises(UnknownName):
        sources.open_sample("../index.json")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def photo(seed: int, side: int = 100) -> bytes:
    levels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return saved(Image.fromarray(levels), "PNG")


def test_uploads_come_back_exactly_and_cannot_be_guessed() -> None:
    uploads = Uploads()
    names = [uploads.add(photo(7), "a.png") for _ in range(50)]
    assert len(set(names)) == 50
    assert all(re.fullmatch(r"upload:[\w-]{22}", name) for name in names)
    assert (pixels(uploads.get(names[3])) == pixels(decode(photo(7)))).all()
    uploads.get(names[3]).paste("red", (0, 0, 100, 100))
    assert (pixels(uploads.get(names[3])) == pixels(decode(photo(7)))).all()


def test_a_bad_upload_is_refused_and_not_kept() -> None:
    uploads = Uploads(max_bytes=0)
    kept = uploads.add(photo(1))
    with pytest.raises(BadImage):
        uploads.add(b"no picture", "a.jpg")
    assert uploads.get(kept).size == (100, 100)


@pytest.mark.parametrize("name", ["upload:", "upload:AAAAAAAAAAAAAAAAAAAAAA", "cat", ""])
def test_unknown_uploads(name: str) -> None:
    uploads = Uploads()
    uploads.add(photo(1))
    with pytest.raises(UnknownName, match="no longer has that upload; drop the picture in again"):
        uploads.get(name)


def test_the_least_recently_used_upload_leaves_first() -> None:
    uploads = Uploads(max_bytes=100_000)  # a noise photo is 30 kB, so three fit
    first, second, third = (uploads.add(photo(seed)) for seed in range(3))
    uploads.get(first)
    fourth = uploads.add(photo(3))
    with pytest.raises(UnknownName):
        uploads.get(second)
    for name, seed in ((first, 0), (third, 2), (fourth, 3)):
        assert (pixels(uploads.get(name)) == pixels(decode(photo(seed)))).all()


def test_the_newest_upload_stays_however_large() -> None:
    uploads = Uploads(max_bytes=100_000)
    small, large = uploads.add(photo(0)), uploads.add(photo(1, 300))
    assert uploads.get(large).size == (300, 300)
    with pytest.raises(UnknownName):
        uploads.get(small)


def test_uploads_that_nobody_asks_for_leave() -> None:
    clock = Clock()
    uploads = Uploads(max_age=60, clock=clock)
    seen, forgotten = uploads.add(photo(0)), uploads.add(photo(1))
    clock.now = 50
    uploads.get(seen)
    clock.now = 100
    uploads.get(seen)
    with pytest.raises(UnknownName):
        uploads.get(forgotten)
    clock.now = 161
    with pytest.raises(UnknownName):
        uploads.get(seen)


def test_uploads_from_many_threads() -> None:
    uploads, wrong = Uploads(max_bytes=400_000), []

    def visit(seed: int) -> None:
        for turn in range(5):
            data = photo(seed * 10 + turn)
            if (pixels(uploads.get(uploads.add(data))) != pixels(decode(data))).any():
                wrong.append(seed)

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    survivors = [uploads.add(photo(seed)) for seed in range(20)]
    assert uploads.get(survivors[-1]).size == (100, 100)


def test_a_recipe_names_an_upload_or_a_sample() -> None:
    uploads = Uploads()
    kept = uploads.add(photo(5))
    assert (pixels(sources.open_image(kept, uploads)) == pixels(decode(photo(5)))).all()
    assert sources.open_image("coffee", uploads).size == (600, 400)
    for store in (None, Uploads()):
        with pytest.raises(UnknownName, match="no longer has that upload"):
            sources.open_image(kept, store)
    with pytest.raises(UnknownName, match="sample picture"):
        sources.open_image("nothing of the kind")
