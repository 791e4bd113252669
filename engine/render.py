"""Arrays to pictures: what a network sees, and what was added to it, as image bytes.

Arrays are ``(c, h, w)`` with one or three channels, as networks hold them. A step of a run is
turned into pictures while people watch, so everything here takes a few milliseconds at most.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from errors import BadImage, BadSetting
from models.core import Crop

GAINS = (1, 2, 5, 10, 20, 40, 50, 100, 200)
VIEWS = ("signed", "size")

Array = NDArray[Any]

# Blue, white, red: the ends differ in hue for every common kind of colour blindness, and each
# side darkens evenly, so that the strength survives a grey printer.
_STOPS = np.array([(5, 76, 138), (110, 170, 214), (255, 255, 255), (240, 138, 110), (150, 10, 30)])
_DIVERGING = np.stack(
    [np.interp(np.linspace(0, 4, 511), np.arange(5), _STOPS[:, channel]) for channel in range(3)], axis=1
)
_DIVERGING = np.rint(_DIVERGING).astype(np.uint8)


def to_image(x: Array) -> Image.Image:
    """Return ``x``, levels in [0, 1] as ``(c, h, w)``, as an RGB picture, rounded to the nearest level.

    A single channel is shown as grey; levels outside [0, 1] are clipped. Raises `errors.BadImage`
    for another shape or a level that is not finite.
    """
    return _picture(_checked(x))


def perturbation(delta: Array, gain: float = 1, view: str = "signed") -> Image.Image:
    """Return a change of a picture, ``delta`` in [-1, 1] as ``(c, h, w)``, as an RGB picture.

    ``view`` "signed": each channel as ``0.5 + gain * delta``, so that mid-grey is "unchanged".
    ``view`` "size": one number a pixel, ``gain`` times the mean of ``delta`` over the channels, red
    where the pixel became brighter, blue where darker, white where its brightness stayed. Both reach
    the end of their scale at ``gain * delta = 0.5``, so switching between them compares like with
    like. A change of colour alone (red up, blue down) has mean zero and shows only in "signed".

    Raises `errors.BadSetting` for another view or a gain outside (0, 10000], `errors.BadImage` as
    `to_image` does.
    """
    if not 0 < gain <= 10_000:
        raise BadSetting(f"Expected a gain above 0 and up to 10000, got {gain}.")
    amplified = _checked(delta) * np.float32(gain)
    if view == "signed":
        return _picture(amplified + np.float32(0.5))
    if view == "size":
        strength = np.clip(amplified.mean(axis=0) * 2, -1, 1)
        return Image.fromarray(np.take(_DIVERGING, np.rint(strength * 255).astype(np.intp) + 255, axis=0))
    raise BadSetting(f"Expected a view among {', '.join(VIEWS)}, got “{view[:40]}”.")


def suggest_gain(delta: Array) -> int:
    """Return the gain, one of `GAINS`, that makes ``delta`` ``(c, h, w)`` plain to see.

    The 99th percentile of ``gain * |delta|`` comes as near to 0.4 as the list allows (by ratio). When
    fewer than one value in a hundred changed, the greatest one counts; when none did, the largest gain.
    """
    sizes = np.abs(_checked(delta))
    typical = float(np.percentile(sizes, 99)) or float(sizes.max())
    if typical == 0:
        return GAINS[-1]
    return min(GAINS, key=lambda gain: abs(np.log(gain * typical / 0.4)))


def encode(picture: Image.Image, ext: str) -> bytes:
    """Return the picture as a file: ``ext`` "png" (exact) or "jpg" (small, for moving pictures).

    Raises `errors.BadSetting` for another ``ext``.
    """
    file = io.BytesIO()
    if ext == "png":
        picture.save(file, "PNG", compress_level=1)
    elif ext == "jpg":
        # Full colour resolution: perturbations are coloured pixel by pixel, and halving would grey them.
        picture.save(file, "JPEG", quality=75, subsampling=0)
    else:
        raise BadSetting(f"Expected png or jpg, got “{ext[:40]}”.")
    return file.getvalue()


def thumbnail(picture: Image.Image, size: int) -> Image.Image:
    """Return the picture's central square, ``size`` x ``size`` pixels."""
    return ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)


def framed(picture: Image.Image, crop: Crop, side: int = 320) -> Image.Image:
    """Return ``picture`` at most ``side`` pixels long, dimmed outside the square that ``crop`` cuts out."""
    small = ImageOps.contain(picture.convert("RGB"), (side, side))
    left, top, right, bottom = (round(edge) for edge in crop.box(small.size))
    shown = small.point(lambda level: level // 3)
    shown.paste(small.crop((left, top, right, bottom)), (left, top))
    ImageDraw.Draw(shown).rectangle((left, top, right - 1, bottom - 1), outline="white", width=2)
    return shown


def _checked(x: Array) -> NDArray[np.float32]:
    """Return ``x`` as float32 after checking its shape and that every value is finite."""
    if x.ndim != 3 or x.shape[0] not in (1, 3) or 0 in x.shape:
        raise BadImage(f"Expected levels of shape (1 or 3, height, width), got {x.shape}.")
    levels = x.astype(np.float32, copy=False)
    if not np.isfinite(levels).all():
        raise BadImage("Expected levels that are finite numbers, got NaN or infinity.")
    return levels


def _picture(levels: NDArray[np.float32]) -> Image.Image:
    """Return checked levels as RGB."""
    octets = np.rint(np.clip(levels * np.float32(255), 0, 255)).astype(np.uint8)
    if octets.shape[0] == 1:
        return Image.fromarray(octets[0]).convert("RGB")
    return Image.merge("RGB", [Image.fromarray(channel) for channel in octets])
