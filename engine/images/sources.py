"""Pictures from anywhere: uploads that nobody vouches for, files, and the samples that ship.

`examine` is the only door for bytes. What leaves it is always an 8-bit RGB picture of at most
`MAX_SIDE` pixels a side, upright, in sRGB, without alpha and without metadata (a phone writes
the place where a picture was taken into the file; it must not travel on).
"""

from __future__ import annotations

import io
import json
import logging
import math
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageCms, ImageFile, PngImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile
from pillow_heif import HeifImageFile

from engine.export import carried
from engine.export.carried import Carried
from engine.images import camera_raw, handwriting, truncated
from engine.images.truncated import Completion
from engine.sentences import Said
from errors import BadImage, BadRecipe, FoolscopeError, UnknownName
from settings import SAMPLES

log = logging.getLogger("foolscope")
MAX_BYTES = 20 * 2**20
MAX_PIXELS = 50_000_000
MAX_SIDE = 2048
FORMATS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".heic", ".heif", ".hif", ".avif",
)  # fmt: skip
"""How the names of such files end, in lower case."""
UPLOAD = "upload:"
PREPARED = "mnist:"
"""What stands before a picture's name where it is prepared as MNIST does (`engine.images.handwriting`)."""
WHOLE = Completion(())
MOST_MISSING = 0.9
"""A cut-off picture of which more than this share is missing is refused."""
CUT_OFF = "The file is cut off or damaged; what is missing is grey."
RAW_PREVIEW = "A camera's raw file: shown is the preview that it holds, {width} x {height} pixels."
COARSE = "The file is cut off; some of its detail may be missing."

ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The decoders are called by class: Image.open would try every plugin that any import has
# registered, and would warn about large pictures before we can refuse them in a sentence.
_DECODERS: tuple[tuple[re.Pattern[bytes], str, type[ImageFile.ImageFile]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG", JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG", PngImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "WebP", WebPImageFile),
    (re.compile(rb"GIF8[79]a"), "GIF", GifImageFile),
    (re.compile(rb"BM"), "BMP", BmpImageFile),
    (re.compile(rb"II[*+]\x00|MM\x00[*+]"), "TIFF", TiffImageFile),
    (re.compile(rb"....ftyp(?:.{4})*?avi[fs]", re.DOTALL), "AVIF", AvifImageFile),
    (re.compile(rb"....ftyp(?:.{4})*?(?:he[iv][cxms]|mif1|msf1)", re.DOTALL), "HEIC", HeifImageFile),
)
_OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"%PDF"), "a PDF document, which is pages and not pixels; save the page as PNG"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "a PostScript drawing; save it as PNG"),
    (re.compile(rb"(?is)\s*<(svg|(\?xml|!--|!doctype svg).*<svg)"), "an SVG drawing; save it as PNG"),
    (re.compile(rb"(?is)\s*(<!doctype html|<html)"), "a web page; save the picture itself"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive; unpack it and choose one picture"),
    (re.compile(rb"8BPS"), "a Photoshop document; save it as PNG"),
    (re.compile(rb"\x00\x00\x01\x00"), "a Windows icon; save it as PNG"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000; save it as PNG"),
    (re.compile(rb"\x00\x00\x00\x0cJXL |\xff\x0a"), "JPEG XL; save it as PNG"),
    (re.compile(rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL), "a video; save one frame as PNG"),
)
UNKNOWN_FORMAT = {  # by whether it begins with text, and whether its name has an ending
    (True, True): "Expected a {formats} picture, got a file that begins with the text “{first}” "
    "and is called {called}.",
    (True, False): "Expected a {formats} picture, got a file that begins with the text “{first}”.",
    (False, True): "Expected a {formats} picture, got a file that begins with the bytes {first} "
    "and is called {called}.",
    (False, False): "Expected a {formats} picture, got a file that begins with the bytes {first}.",
}
MOST_TRIES = 4
"""So many previews of a raw file are tried before it is refused."""
# Pillow alone refuses a colour profile of more than 1 MB in a PNG; of text it bears 64 MB in all.
PngImagePlugin.MAX_TEXT_CHUNK = truncated.LARGEST_PROFILE
# A picture at the pixel limit takes some 500 MB while it is decoded.
_SLOTS = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Decoded:
    """A picture, and ``notes`` on what a person should know of how it was read: templates and their facts.
    ``carried``: what the file says of how it came about, where it came from here."""

    picture: Image.Image
    notes: tuple[Said, ...] = ()
    carried: Carried | None = None


def decode(data: bytes, name: str = "") -> Image.Image:
    """Return the picture in ``data`` as `examine` does, without the notes."""
    return examine(data, name).picture


def examine(data: bytes, name: str = "") -> Decoded:
    """Return the picture in ``data``: RGB, 8 bits, at most `MAX_SIDE` pixels on the long side.

    Of several frames or pages the first is taken. The EXIF orientation is applied, an embedded
    colour profile is converted to sRGB, and transparency is laid on white, which is what a
    browser's page shows behind it. Deeper pixels are scaled to 8 bits: 16-bit levels by 1/257,
    floats in [0, 1] by 255, any other range from its least to its greatest value. Of a file that is cut
    off what is there is shown, and noted. ``name`` is the file's name, and serves only the wording of a
    refusal. A picture that came from here has its kind in ``info`` (`engine.export.carried`).

    Raises `errors.BadImage` for anything else: no bytes, more than `MAX_BYTES` or (read from the
    header, before decoding) `MAX_PIXELS`, another kind of file, or one that holds hardly any picture.
    """
    if not data:
        raise BadImage("Expected a picture, got an empty file (0 bytes).")
    _check_bytes(len(data))
    if camera_raw.is_raw(data):
        with _SLOTS:
            return _raw_preview(data)
    title, decoder = _recognise(data, name)
    try:
        with _SLOTS:
            return _with_recipe(data, _whole_or_cut_off(title, decoder, data))
    except FoolscopeError:
        raise
    except Exception as error:  # on crafted bytes the decoders raise a dozen types, SyntaxError among them
        raise BadImage(
            "Expected a whole {title} picture, got one that is cut off, damaged or of a rare kind: "
            "save it again or choose another.",
            title=title,
        ) from error


def _with_recipe(data: bytes, decoded: Decoded) -> Decoded:
    """Return the picture with the recipe that its file carries; one that cannot be used is noted."""
    try:
        found = carried.read(data, decoded.picture)
    except BadRecipe as error:
        return Decoded(decoded.picture, (*decoded.notes, (error.sentence, error.facts)))  # type: ignore[arg-type]
    if found is not None:
        decoded.picture.info[carried.MARK] = found.kind
    return Decoded(decoded.picture, decoded.notes, found)


def _whole_or_cut_off(title: str, decoder: type[ImageFile.ImageFile], data: bytes) -> Decoded:
    """Decode a file; one that a decoder refuses is completed first, if it was only cut off."""
    try:
        return Decoded(_finish(_load(decoder, data)))
    except FoolscopeError:
        raise
    except Exception:
        completion = truncated.complete(title, data)
        if completion is None:
            raise
    return _cut_off(decoder, completion)


def _cut_off(decoder: type[ImageFile.ImageFile], completion: Completion) -> Decoded:
    """Decode a completed file; paint grey and note what is missing. Raises OSError if that is nearly all."""
    loaded = _loaded(decoder, completion.files)
    first = next(loaded)
    lacking = truncated.grey_share(first) if completion.grey else 1 - completion.share
    picture = _finish(first, completion)
    if completion.refined or completion.step > 1:
        return Decoded(picture, ((COARSE, {}),))
    if len(completion.files) > 1:
        blank = truncated.difference(np.asarray(picture), np.asarray(_finish(next(loaded))))
        picture.paste((truncated.GREY,) * 3, mask=Image.fromarray(blank))
        lacking = float(blank.mean())
    if lacking > MOST_MISSING:
        raise OSError(f"{lacking:.0%} of the picture is missing")
    return Decoded(picture, ((CUT_OFF, {}),) if lacking else ())


def _loaded(decoder: type[ImageFile.ImageFile], files: Sequence[bytes]) -> Iterator[ImageFile.ImageFile]:
    """Yield what the decoder makes of those files that it takes; raises OSError where it takes no more."""
    for file in files:
        try:
            picture = _load(decoder, file)
        except FoolscopeError:
            raise
        except Exception:  # which filler a decoder takes is known only by trying
            log.debug("a filler was refused", exc_info=True)
        else:
            yield picture
    raise OSError("the decoder takes none of the fillers")


def _raw_preview(data: bytes) -> Decoded:
    """Return the largest preview in a camera's raw file, as the camera was held."""
    fitting = [
        preview for preview in camera_raw.previews(data) if preview.width * preview.height <= MAX_PIXELS
    ]
    for preview in fitting[:MOST_TRIES]:
        try:
            loaded = _load(JpegImageFile, data[preview.at :])
        except FoolscopeError:
            raise
        except Exception:  # whatever only looks like a picture
            log.debug("a preview was refused", exc_info=True)
            continue
        picture = _finish(loaded)
        if ORIENTATION not in loaded.getexif():
            turn = _TURNS.get(camera_raw.orientation(data))
            picture = picture.transpose(turn) if turn is not None else picture
        facts = {"width": preview.width, "height": preview.height}
        return Decoded(picture, ((RAW_PREVIEW, facts),))
    raise BadImage(
        "Expected a {formats} picture, got {what}.",
        formats=FORMATS,
        what="a camera's raw file without a preview; save it as JPEG",
    )


def _recognise(data: bytes, name: str) -> tuple[str, type[ImageFile.ImageFile]]:
    """Return the format's title and its decoder, judged by the first bytes alone."""
    head = data[:1024]
    brands = head[: int.from_bytes(head[:4])] if head[4:8] == b"ftyp" else head
    for pattern, title, decoder in _DECODERS:
        if pattern.match(brands):
            return title, decoder
    for pattern, what in _OTHERS:
        if pattern.match(head.removeprefix(b"\xef\xbb\xbf")):
            raise BadImage("Expected a {formats} picture, got {what}.", formats=FORMATS, what=what)
    suffix = re.search(r"\.\w{1,8}$", name, re.ASCII)
    readable = bool(re.fullmatch(rb"[\w\s.,:;+-]+", head[:24]))
    raise BadImage(
        UNKNOWN_FORMAT[readable, bool(suffix)],
        formats=FORMATS,
        first=" ".join(head[:24].decode("ascii").split()) if readable else head[:8].hex(" "),
        called=f"*{suffix[0].lower()}" if suffix else "",
    )


def _check_bytes(count: int) -> None:
    """Raise `errors.BadImage` for a file above `MAX_BYTES`."""
    if count > MAX_BYTES:
        # Rounded up, so that one byte too many does not read as the limit itself.
        got = f"{math.ceil(count / 2**20 * 10) / 10:.1f}"
        raise BadImage(
            "Expected a picture of at most {most} MB, got {got} MB: save it smaller.",
            most=MAX_BYTES // 2**20,
            got=got,
        )


def _load(decoder: type[ImageFile.ImageFile], data: bytes) -> ImageFile.ImageFile:
    """Decode, refusing by the header's size before any pixel is made."""
    picture = decoder(io.BytesIO(data), "")
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise BadImage(
            "Expected a picture of at most {most} megapixels, got {width} x {height} "
            "({got} megapixels): make it smaller and try again.",
            most=f"{MAX_PIXELS / 1e6:.0f}",
            width=width,
            height=height,
            got=f"{width * height / 1e6:.1f}",
        )
    if isinstance(picture, JpegImageFile):
        picture.draft(None, _fit(picture.size))
    picture.load()
    return picture


def _finish(picture: ImageFile.ImageFile, part: Completion = WHOLE) -> Image.Image:
    """Return a decoded picture upright, in RGB and sRGB, small, and without metadata; grey, or made of fewer
    pixels, where only ``part`` of it is there."""
    profile, turn = picture.info.get("icc_profile"), _turn(picture)
    plain = _plain(picture)
    if part.share < 1:
        top = math.floor(part.share * plain.height)
        grey = Image.new("L", (plain.width, plain.height - top), truncated.GREY).convert(plain.mode)
        plain.paste(grey, (0, top))
    if part.step > 1:
        plain = Image.fromarray(np.asarray(plain)[:: part.step, :: part.step])
    small = _shrink(plain)
    if small.mode == "RGBA":
        white = Image.new("RGB", small.size, "white")
        white.paste(small, mask=small)
        small = white
    result = _to_srgb(small, profile).convert("RGB")
    result = result.transpose(turn) if turn is not None else result
    result.info = {}
    return result


def _turn(picture: ImageFile.ImageFile) -> Image.Transpose | None:
    """Return what brings the picture upright (a TIFF or HEIC is upright after loading)."""
    try:
        return _TURNS.get(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # whatever a damaged EXIF block raises, it costs the rotation and not the picture
        return None


def _plain(picture: Image.Image) -> Image.Image:
    """Return the picture in one of the modes L, RGB, RGBA and CMYK."""
    if picture.mode == "F" or picture.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(picture)))
    plain = {"1": "L", "L": "L", "CMYK": "CMYK"}.get(picture.mode, "RGB")
    mode = "RGBA" if picture.has_transparency_data else plain
    return picture if picture.mode == mode else picture.convert(mode)


def _eight_bits(levels: np.ndarray) -> np.ndarray:
    """Scale grey levels ``(h, w)``, integers or floats, to 0..255; see `decode` for the scales."""
    low, high = float(levels.min()), float(levels.max())  # either is NaN as soon as one level is
    if not math.isfinite(low) or not math.isfinite(high):
        raise BadImage("Expected a picture of numbers, got pixels that are not finite (NaN or infinity).")
    full = 1.0 if levels.dtype.kind == "f" else 65535.0
    if low >= 0 and high <= full:
        low, high = 0.0, full
    scale = 255 / (high - low or 1.0)
    octets = np.empty(levels.shape, dtype=np.uint8)
    for top in range(0, len(levels), 256):  # by strips: the whole as float64 would be 400 MB
        strip = levels[top : top + 256].astype(np.float64)
        octets[top : top + 256] = np.rint((strip - low) * scale)
    return octets


def _fit(size: tuple[int, int]) -> tuple[int, int]:
    """Return ``size`` scaled down, where needed, to `MAX_SIDE` on the long side."""
    scale = min(1.0, MAX_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _shrink(picture: Image.Image) -> Image.Image:
    """Return the picture at `_fit` size."""
    size = _fit(picture.size)
    if size == picture.size:
        return picture
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an L, RGB or CMYK picture with its colour profile, if it is a usable one, made sRGB."""
    if not profile:
        return picture
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return picture
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, source, target, outputMode="RGB") or picture
    except (
        ImageCms.PyCMSError,
        OSError,
    ):  # damaged, or made for another mode: it is left aside, as viewers do
        return picture


def read_bytes(path: str | Path) -> bytes:
    """Return what is in a picture file, not decoded yet.

    Raises `errors.BadImage` when the file is missing, is a folder, is too large or cannot be read.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise BadImage(f"Expected a picture file, got the folder {path}.")
        if not path.is_file():
            raise BadImage(f"Expected a picture file or a sample's name, but there is no file {path}.")
        _check_bytes(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise BadImage(f"Expected a file that can be read, got {path}: {error.strerror}.") from error


def read_file(path: str | Path) -> Image.Image:
    """Return the picture in a file, as `decode` does; raises `errors.BadImage`."""
    return decode(read_bytes(path), Path(path).name)


Group = Literal["", "mistakes"]
"""The parts of the shelf of samples: see `Sample`."""


@dataclass(frozen=True)
class Sample:
    """A picture that ships: either ``file`` in the samples folder, or a computed ``kind``.

    ``channels``: of the networks that it is meant for; 1 for a drawn digit.

    ``kind`` is "black", "grey" or "noise". ``label`` is the caption, ``alt`` the text for those
    who cannot see the picture; author, licence and source are as the picture's publisher states them.

    ``shows``: the classes that are right names for it, of ImageNet and of the everyday photos; none of a
    network's classes where it has no name for the picture.
    ``group``: "mistakes" for a photo that the first network misnames without any attack, "" for the others.
    """

    name: str
    label: str
    alt: str
    author: str
    licence: str
    source: str
    file: str | None = None
    kind: str | None = None
    channels: int = 3
    shows: tuple[str, ...] = ()
    group: Group = ""


@cache
def _index(folder: Path) -> tuple[Sample, ...]:
    entries = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return tuple(Sample(**{**entry, "shows": tuple(entry.get("shows", ()))}) for entry in entries)


def samples(folder: Path = SAMPLES) -> dict[str, Sample]:
    """Return the samples by name, in the order in which they are shown."""
    return {sample.name: sample for sample in _index(folder)}


def open_sample(name: str, folder: Path = SAMPLES) -> Image.Image:
    """Return a sample as RGB; the computed ones are 480 x 480. Raises `errors.UnknownName`."""
    known = samples(folder)
    if name not in known:
        raise UnknownName.of("sample picture", name, known)
    sample = known[name]
    return _sample_file(folder / sample.file).copy() if sample.file else _computed(sample.kind)


@lru_cache(8)
def _sample_file(path: Path) -> Image.Image:
    """Return the picture of a sample, which a page asks for several times in every script run."""
    return read_file(path)


def _computed(kind: str | None, side: int = 480) -> Image.Image:
    """Return a black, mid-grey or uniformly random picture."""
    if kind == "noise":
        # RandomState's stream is frozen for good, so the picture is the same on every machine.
        return Image.fromarray(np.random.RandomState(0).randint(0, 256, (side, side, 3), dtype=np.uint8))
    levels = {"black": 0, "grey": 128}
    if kind not in levels:
        raise UnknownName.of("computed picture", str(kind), [*levels, "noise"])
    return Image.new("RGB", (side, side), (levels[kind],) * 3)


class _Kept:
    """An upload at rest: PNG bytes, when they were last asked for, and what came with the picture."""

    def __init__(self, png: bytes, used: float, decoded: Decoded) -> None:
        self.png, self.used = png, used
        self.notes, self.carried = decoded.notes, decoded.carried


def _packed(decoded: Decoded) -> bytes:
    """Return a picture as PNG bytes, with the recipe that came with it."""
    if decoded.carried:
        return carried.encode(decoded.picture, "png", decoded.carried)
    png = io.BytesIO()
    decoded.picture.save(png, "PNG", compress_level=1)
    return png.getvalue()


class Uploads:
    """The pictures that visitors sent, in memory alone, each under a name that cannot be guessed.

    Safe to share between threads. There is no way to list it. The pictures least recently used
    leave when together they exceed ``max_bytes`` (the newest one stays in any case), and every
    picture leaves when nobody asked for it during ``max_age`` seconds of ``clock``.
    """

    def __init__(
        self, max_bytes: int = 2**30, max_age: float = 86_400.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start empty; ``max_bytes`` counts the pictures as kept, compressed without loss."""
        self.max_bytes, self.max_age, self._clock = max_bytes, max_age, clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, data: bytes, name: str = "") -> str:
        """Keep a picture, and return its name, "upload:" and 128 random bits.

        Raises `errors.BadImage` as `examine` does.
        """
        decoded = examine(data, name)
        png, token = _packed(decoded), UPLOAD + secrets.token_urlsafe(16)
        with self._lock:
            self._kept[token] = _Kept(png, self._clock(), decoded)
            self._bytes += len(png)
            self._forget()
        return token

    def get(self, token: str) -> Image.Image:
        """Return a fresh copy of the picture, the very pixels that `decode` made.

        Raises `errors.UnknownName` when it was never here, or is no longer.
        """
        kept = self._used(token)
        picture = PngImageFile(io.BytesIO(kept.png), "").convert("RGB")
        picture.info = {carried.MARK: kept.carried.kind} if kept.carried else {}
        return picture

    def carried(self, token: str) -> Carried | None:
        """Return the recipe that came with the picture, if it came from here; raises as `get` does."""
        return self._used(token).carried

    def notes(self, token: str) -> tuple[Said, ...]:
        """Return what was noted when the picture was read; raises as `get` does."""
        return self._used(token).notes

    def holds(self, token: str) -> bool:
        """Say whether the picture is here."""
        with self._lock:
            self._forget()
            return token in self._kept

    def packed(self, token: str) -> bytes:
        """Return the picture as PNG bytes; raises as `get` does."""
        return self._used(token).png

    def put(self, token: str, png: bytes, notes: tuple[Said, ...]) -> None:
        """Take back a picture that was here once: ``png`` as `packed` gave it."""
        decoded = replace(examine(png), notes=notes)
        with self._lock:
            if token not in self._kept:
                self._kept[token] = _Kept(png, self._clock(), decoded)
                self._bytes += len(png)
                self._forget()

    def drop(self, token: str) -> None:
        """Let go of the picture, if it is here."""
        with self._lock:
            upload = self._kept.pop(token, None)
            self._bytes -= len(upload.png) if upload else 0

    def _used(self, token: str) -> _Kept:
        with self._lock:
            self._forget()
            upload = self._kept.get(token)
            if upload is None:
                raise UnknownName("This server no longer has that upload; drop the picture in again.")
            upload.used = self._clock()
            self._kept.move_to_end(token)
            return upload

    def _forget(self) -> None:
        """Drop what is too old or too much; the caller holds the lock."""
        oldest_allowed = self._clock() - self.max_age
        while self._kept:
            token, upload = next(iter(self._kept.items()))
            crowded = self._bytes > self.max_bytes and len(self._kept) > 1
            if upload.used >= oldest_allowed and not crowded:
                return
            del self._kept[token]
            self._bytes -= len(upload.png)


Source = Callable[[str], Image.Image]
"""Pictures by name from elsewhere, such as a data set; raises `errors.UnknownName`."""


def open_image(
    ref: str,
    uploads: Uploads | None = None,
    folder: Path = SAMPLES,
    sources: Mapping[str, Source] | None = None,
) -> Image.Image:
    """Return the picture that a recipe names: an upload ("upload:..."), one of ``sources``, given the name
    after its own ("digit:test:7"), or a sample; with "mnist:" before it, prepared as MNIST does.

    Raises `errors.UnknownName`; without a store of ``uploads`` every upload is unknown.
    """
    if ref.startswith(PREPARED):
        return handwriting.prepare(_open_plain(ref.removeprefix(PREPARED), uploads, folder, sources))
    return _open_plain(ref, uploads, folder, sources)


def _open_plain(
    ref: str, uploads: Uploads | None, folder: Path, sources: Mapping[str, Source] | None
) -> Image.Image:
    if ref.startswith(UPLOAD):
        return (uploads or Uploads()).get(ref)
    kind, colon, name = ref.partition(":")
    if colon and sources and kind in sources:
        return sources[kind](name)
    return open_sample(ref, folder)
