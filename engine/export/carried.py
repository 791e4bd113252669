"""The recipe that a picture carries: written into the file, and read back as something nobody vouches for.

In a PNG it is an iTXt chunk with the keyword ``foolscope`` (https://www.w3.org/TR/png-3/#11iTXt), in a JPEG
the comment, in a WebP the XMP part; each holds the same JSON. Of the upload it says the size and a digest of
its pixels: no name, no place, no EXIF.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from typing import Any, Literal, NoReturn

from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from errors import BadRecipe
from models.core import Card, Crop

WHOLE = Crop(0.5, 0.5, 1.0)
"""The crop of a picture that is already what the network sees."""
MARK = "foolscope"
"""What stands in the ``info`` of a picture that came from here."""
Kind = Literal["network", "photo", "added"]
"""The picture at the network's size, at the photo's own, and what was added."""
Format = Literal["png", "jpg", "webp"]
FORMATS: dict[Format, str] = {"png": "PNG", "jpg": "JPEG 90", "webp": "WebP 90"}
KEYWORD = "foolscope"
VERSION = 1
LARGEST = 64 * 1024
"""Bytes of a recipe at most."""
DAMAGED = "The recipe in the picture was left aside: it is damaged."
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Carried:
    """What a file says of how it came about.

    ``settings``: the recipe as the query of a link. ``kind``: which of a run's pictures it is. ``original``:
    `digest` of the untouched picture, ``pixels``: of this one. ``made_with``: versions of what made it, by
    name. ``verdict``: what the network said of it then, as plain data.
    """

    settings: Mapping[str, str]
    kind: str
    original: str
    pixels: str
    made_with: Mapping[str, str]
    verdict: Mapping[str, object]


def digest(picture: Image.Image) -> str:
    """Return the sha256 of a picture's size and RGB pixels, in hex."""
    rgb = picture.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode() + rgb.tobytes()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions that decide which pixels and figures come of a recipe."""
    return {"format": str(VERSION), "torch": version("torch"), "pillow": version("pillow")}


def encode(picture: Image.Image, format: Format, carried: Carried | None = None) -> bytes:
    """Return the picture as a file that carries ``carried``."""
    text = json.dumps({"version": VERSION, **asdict(carried)}, ensure_ascii=True) if carried else ""
    file = io.BytesIO()
    if format == "png":
        chunks = PngImagePlugin.PngInfo()
        if text:
            chunks.add_itxt(KEYWORD, text)
        picture.save(file, "PNG", pnginfo=chunks)
    elif format == "jpg":
        # Full colour resolution: perturbations are coloured pixel by pixel.
        picture.save(file, "JPEG", quality=90, subsampling=0, comment=f"{KEYWORD} {text}" if text else b"")
    else:
        picture.save(file, "WEBP", quality=90, xmp=f"{KEYWORD} {text}".encode() if text else b"")
    return file.getvalue()


def read(data: bytes, picture: Image.Image) -> Carried | None:
    """Return what a file carries, None for nothing; ``picture``: its pixels, as the door reads them.

    Raises `BadRecipe` where that cannot be used: too long, damaged, of another version or another picture.
    The settings are texts that nobody has checked (`engine.links.checked` does).
    """
    text = _text(data)
    if text is None:
        return None
    if len(text) > LARGEST:
        raise BadRecipe(
            "The recipe in the picture was left aside: expected at most {most} kB, got {got} kB.",
            most=LARGEST // 1024,
            got=f"{len(text) / 1024:,.0f}",
        )
    carried = _parsed(text)
    if carried.pixels != digest(picture):
        raise BadRecipe("The recipe in the picture was left aside: the picture was changed since.")
    return carried


def entering(card: Card, picture: Image.Image) -> Crop | None:
    """Return the crop with which a picture goes in: the whole of one that came from here at the network's
    size, None (the network's own crop) for any other."""
    whole = MARK in picture.info and picture.size == (card.size, card.size)
    return WHOLE if whole else None


def _parsed(text: bytes) -> Carried:
    try:
        plain = json.loads(text, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        raise BadRecipe(DAMAGED) from error
    if not isinstance(plain, dict) or plain.get("version") != VERSION:
        got = str(plain.get("version") if isinstance(plain, dict) else type(plain).__name__)[:40]
        raise BadRecipe(
            "The recipe in the picture was left aside: expected version {version}, got {got}.",
            version=VERSION,
            got=got,
        )
    parts: dict[str, Any] = {field.name: plain.get(field.name) for field in fields(Carried)}
    texts, tables = [parts[name] for name in ("kind", "original", "pixels")], ("made_with", "verdict")
    if not all(isinstance(each, str) for each in texts) or not _is_query(parts["settings"]):
        raise BadRecipe(DAMAGED)
    return Carried(**parts | {name: parts[name] if isinstance(parts[name], dict) else {} for name in tables})


def _is_query(settings: Any) -> bool:
    """Say whether ``settings`` maps texts to texts."""
    return isinstance(settings, dict) and all(isinstance(value, str) for value in settings.values())


def _not_a_number(name: str) -> NoReturn:
    raise BadRecipe("The recipe in the picture was left aside: expected numbers, got {got}.", got=name)


def _text(data: bytes) -> bytes | None:
    """Return the recipe in a file, not parsed yet; None where there is none."""
    if data.startswith(PNG):
        return _chunk(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _own(JpegImagePlugin.JpegImageFile, data, "comment")
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _own(WebPImagePlugin.WebPImageFile, data, "xmp")
    return None


def _own(decoder: Any, data: bytes, part: str) -> bytes | None:
    try:
        held = decoder(io.BytesIO(data), "").info.get(part, b"")
    except (OSError, SyntaxError, ValueError):  # no whole picture: the door says so
        return None
    held = held.encode() if isinstance(held, str) else bytes(held)
    begin = f"{KEYWORD} ".encode()
    return held.removeprefix(begin).rstrip(b"\0") if held.startswith(begin) else None


def _chunk(data: bytes) -> bytes | None:
    """Return the text of the first iTXt chunk with our keyword; only its plain, uncompressed form is ours."""
    at, begin = len(PNG), KEYWORD.encode() + b"\0\0\0\0\0"
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"iTXt" and data[at + 8 : at + 8 + len(begin)] == begin:
            return data[at + 8 + len(begin) : at + 8 + length]
        at += 12 + length
    return None
