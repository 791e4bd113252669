"""Picture files that end too early: completed with filler, so that a decoder shows what is there.

Pillow can be told to accept such files, but only for the whole process, and it does not say how much is
missing. Here the bytes themselves are made whole, twice with different filler where need be: where the two
pictures agree is what the file holds.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from PIL import Image

from engine.images import tiff

GREY = 128
LONGEST = 80 * 2**20
"""A file that should have been longer than this is not completed."""
LARGEST_PROFILE = 16 * 2**20
"""A colour profile in a PNG may unpack to so many bytes."""
LEAST = 0.02
"""Of a WebP file at least so much must be there: of less, fillers may look alike."""
BLOCK = 16
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"eXIf")
_PNG_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_GIF_PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))


@dataclass(frozen=True)
class Completion:
    """A cut-off file made whole.

    ``files``: the file with one filler after another, of which a decoder may refuse some. ``share``: how much
    of the picture, from the top, is there, where that is known. ``step``: where a
    picture comes from coarse to fine, of how many pixels in a row the first is there; else 1. ``grey``: the
    decoder makes `GREY` of what is missing. ``refined``: of several scans more than one is there.
    """

    files: tuple[bytes, ...]
    share: float = 1.0
    step: int = 1
    grey: bool = False
    refined: bool = False


def complete(title: str, data: bytes) -> Completion | None:
    """Return the file ``data`` of the format called ``title`` made whole; None where that cannot be done, or
    not even the beginning of the picture is there."""
    return _COMPLETED[title](data)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return in which blocks of `BLOCK` pixels a side two pictures ``(h, w, 3)`` differ, as ``(h, w)``."""
    differ = (np.abs(first.astype(np.int16) - second) > 8).any(2)
    height, width = differ.shape
    tops, lefts = range(0, height, BLOCK), range(0, width, BLOCK)
    counts = np.add.reduceat(np.add.reduceat(differ, tops, 0, int), lefts, 1)
    sizes = np.outer(np.diff([*tops, height]), np.diff([*lefts, width]))
    blocks = np.asarray(counts) > sizes / 4
    return np.repeat(np.repeat(blocks, BLOCK, 0), BLOCK, 1)[:height, :width]


def grey_share(picture: Image.Image) -> float:
    """Return how much of ``picture``, from the bottom, is flat `GREY`, in [0, 1]; more than 0 as soon as the
    last corner is."""
    width, height = picture.size
    for bottom in range(height, 0, -BLOCK):
        band = np.asarray(picture.crop((0, max(0, bottom - BLOCK), width, bottom))).astype(np.int16)
        flat = np.abs(band - GREY) <= 1
        if not flat.all():
            return max(height - bottom, int(flat[-8:, -8:].all())) / height
    return 1.0


# JPEG


def _jpeg(data: bytes) -> Completion | None:
    """End the scan where its data end: a decoder makes grey of the rest."""
    at, end, scans = 2, len(data), 0
    while marker := _MARKER.search(data, at):
        kind, at = marker[1][0], marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
        if kind == 0xD9 or at > len(data) or marker.end() + 2 > len(data):
            end = marker.start()
            break
        scans += kind == 0xDA
    if not scans:
        return None
    return Completion((data[:end].rstrip(b"\xff") + b"\xff\xd9",), grey=True, refined=scans > 1)


# PNG


def _png(data: bytes) -> Completion | None:
    """Unpack the rows that are there, and pack them again with rows of filler below them."""
    chunks = list(_png_chunks(data))
    header = next((body for kind, body in chunks if kind == b"IHDR" and len(body) == 13), None)
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    if header is None or not packed:
        return None
    lines = _png_lines(header)
    sizes = [rows * length for rows, length in lines]
    packer, count = zlib.compressobj(1), 0
    pixels = bytearray()
    for piece in _inflated(packed, sum(sizes)):
        pixels += packer.compress(piece)
        count += len(piece)
    retained = b"".join(_png_chunk(*chunk) for chunk in chunks if chunk[0] in _PNG_KEPT and _bearable(*chunk))
    pixels += b"".join(map(packer.compress, _png_filled(lines, count))) + packer.flush()
    file = data[:8] + retained + _png_chunk(b"IDAT", bytes(pixels)) + _png_chunk(b"IEND", b"")
    if header[12]:
        step = _step(count, sizes, (8, 8, 4, 4, 2, 2, 1))
        return Completion((file,), step=step) if step else None
    return Completion((file,), share=count // lines[0][1] / lines[0][0])


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the body of each chunk, the last one as far as it goes."""
    at = 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_lines(header: bytes) -> list[tuple[int, int]]:
    """Return for each pass how many rows it has and of how many bytes, the filter's byte included."""
    width, height, depth, colour = struct.unpack(">IIBB", header[:10])
    lines = []
    for left, top, across, down in _PNG_PASSES if header[12] else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            lines.append((rows, 1 + (columns * depth * _PNG_CHANNELS.get(colour, 1) + 7) // 8))
        else:
            lines.append((0, 0))
    return lines


def _png_filled(lines: list[tuple[int, int]], count: int) -> Iterator[bytes]:
    """Yield zeros for what is missing after ``count`` bytes: black, or clear, without a filter."""
    lacking = sum(rows * length for rows, length in lines) - count
    for at in range(0, lacking, 2**20):
        yield bytes(min(2**20, lacking - at))


def _inflated(packed: bytes, most: int) -> Iterator[bytes]:
    """Yield what ``packed`` unpacks to, in pieces: up to ``most`` bytes, or to its end or a damage."""
    unpacker = zlib.decompressobj()
    for at in range(0, len(packed), 4096):
        waiting = packed[at : at + 4096]
        while waiting and most > 0:
            try:
                piece = unpacker.decompress(waiting, min(most, 2**20))
            except zlib.error:
                return
            most -= len(piece)
            waiting = unpacker.unconsumed_tail
            yield piece


def _bearable(kind: bytes, body: bytes) -> bool:
    """Say whether a chunk unpacks to no more than is allowed."""
    if kind != b"iCCP":
        return True
    packed = body.partition(b"\0")[2][1:]
    return sum(map(len, _inflated(packed, LARGEST_PROFILE + 1))) <= LARGEST_PROFILE


def _step(count: int, sizes: list[int], steps: tuple[int, ...]) -> int:
    """Return of how many pixels in a row the first is there, when ``count`` of what the passes of ``sizes``
    need has come; 0 when not even the first pass is whole."""
    whole = sum(count >= total for total in accumulate(sizes))
    return steps[whole - 1] if whole else 0


# GIF


def _gif(data: bytes) -> Completion | None:
    """Follow the codes of the first frame to count its pixels, and go on with those of colour 0."""
    start = _gif_frame(data)
    if start is None or start + 11 > len(data):
        return None
    width, height, flags = struct.unpack_from("<HHB", data, start + 5)
    at = start + 10 + (3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0)
    codes = b"".join(_gif_blocks(data, at + 1))
    count = (
        min(_gif_pixels(codes, data[at]), width * height) if at < len(data) and data[at] in range(2, 9) else 0
    )
    if not count:
        return None
    codes += bytes(2 * (width * height - count) + 2)
    blocks = b"".join(bytes([len(part)]) + part for part in _parts(codes, 255))
    file = data[: at + 1] + blocks + b"\0;"
    if flags & 0x40:
        sizes = [len(range(first, height, gap)) * width for first, gap in _GIF_PASSES]
        step = _step(count, sizes, (8, 4, 2, 1))
        return Completion((file,), step=step) if step else None
    return Completion((file,), share=count // width / height)


def _gif_frame(data: bytes) -> int | None:
    """Return where the first frame's descriptor begins."""
    flags = data[10] if len(data) > 10 else 0
    at = 13 + (3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0)
    while at < len(data) and data[at] == 0x21:
        at += 2
        while at < len(data) and data[at]:
            at += 1 + data[at]
        at += 1
    return at if at < len(data) and data[at] == 0x2C else None


def _gif_blocks(data: bytes, at: int) -> Iterator[bytes]:
    while at < len(data) and data[at]:
        yield data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]


def _gif_pixels(codes: bytes, size: int) -> int:
    """Return for how many pixels there are LZW codes; ``size``: bits of a colour."""
    clear, count, bits, held = 1 << size, 0, 0, 0
    lengths, width, before = [1] * (clear + 2), size + 1, 0
    octets = iter(codes)
    while True:
        while bits < width:
            octet = next(octets, None)
            if octet is None:
                return count
            held, bits = held | octet << bits, bits + 8
        code, held, bits = held & ((1 << width) - 1), held >> width, bits - width
        if code == clear:
            lengths, width, before = [1] * (clear + 2), size + 1, 0
            continue
        if code == clear + 1 or code > len(lengths):
            return count
        if before and len(lengths) < 4096:
            lengths.append(before + 1)
            width += len(lengths) == 1 << width and width < 12
        before = lengths[code] if code < len(lengths) else before
        count += before


def _parts(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


# Files that say how long they are


def _filled(data: bytes, length: int) -> Completion | None:
    """Fill the file up to ``length`` bytes with zeros, chance, and ones."""
    lacking = length - len(data)
    if not len(data) < length <= LONGEST:
        return None
    chance = (np.random.default_rng(seed).bytes(lacking) for seed in range(4))
    return Completion(tuple(data + filler for filler in (bytes(lacking), *chance, b"\xff" * lacking)))


def _riff(data: bytes) -> Completion | None:
    """Fill the last chunk of a WebP file far beyond its end, lest a decoder run out of filler.

    Of an animation whose first frame is there nothing else is needed.
    """
    length = 8 + int.from_bytes(data[4:8], "little")
    if not LEAST * length < len(data) < length <= LONGEST:
        return None
    grown = length + length // 2 * 2 + 2**16
    longer = bytearray(data)
    struct.pack_into("<I", longer, 4, grown - 8)
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body, at = at + 8, at + 8 + size + size % 2
        if at > len(data):
            struct.pack_into("<I", longer, body - 4, grown - body)
            at = body + 16 if kind == b"ANMF" else at  # a frame holds chunks of its own
        elif kind == b"ANMF":
            return Completion((data[:4] + struct.pack("<I", at - 8) + data[8:at],))
    return _filled(bytes(longer), grown)


def _bmp(data: bytes) -> Completion | None:
    return _filled(data, int.from_bytes(data[2:6], "little"))


def _boxes(data: bytes) -> Completion | None:
    """Fill up the last box of a HEIC or AVIF file."""
    end = 0
    while end + 8 <= len(data):
        length = int.from_bytes(data[end : end + 4])
        length = int.from_bytes(data[end + 8 : end + 16]) if length == 1 else length
        if length < 8:
            return None
        end += length
    return _filled(data, end)


def _tiff(data: bytes) -> Completion | None:
    """Fill up to the end of the last strip or tile; a decoder takes that where they are not compressed."""
    first = next(iter(tiff.directories(data)), {})
    ends = [0]
    for start, size in ((tiff.STRIP_OFFSETS, tiff.STRIP_BYTES), (tiff.TILE_OFFSETS, tiff.TILE_BYTES)):
        if start in first and size in first:
            ends += [sum(pair) for pair in zip(first[start], first[size], strict=False)]
    return _filled(data, max(ends))


_COMPLETED: dict[str, Callable[[bytes], Completion | None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WebP": _riff,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": _tiff,
    "AVIF": _boxes,
    "HEIC": _boxes,
}
