"""What an image processor of transformers does to pictures, read off its answers to a few of them.

There are dozens of processors, each with settings of its own; their answers to plain pictures and to ramps
say which affine map they apply and which box they look at, whatever the settings are called.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from errors import BadNetwork
from models.added import hub
from models.added.record import CheckResult, Facts

WIDTH, HEIGHT = 640, 480
"""Of the pictures that are shown."""
FILTERS = {2: "bilinear", 3: "bicubic"}
"""As Pillow numbers them."""
MARGIN = 0.05
"""Share of the answer at every edge that is left out, where filters meet the edge."""
EVEN = 0.02
"""Scales of width and height that differ by less are one."""
AFFINE = 0.01
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What came out. ``flip``: the network takes blue first; ``facts`` has red first all the same."""

    facts: Facts
    flip: bool
    notes: tuple[CheckResult, ...]


def seen(described: Mapping[str, Any], config: Mapping[str, Any]) -> Seen:
    """Return what the processor of a description does, for the network of ``config``.

    Raises `errors.BadNetwork` when transformers has no such processor, or it is not an affine map.
    """
    processor = _processor(described, config)
    mode = "L" if config.get("num_channels") == 1 else "RGB"
    black, grey, white = (_answer(processor, _plain(level, mode)) for level in (0, 128, 255))
    low, high = _middle(black), _middle(white)
    expected = low + (high - low) * 128 / 255
    if np.any(high <= low) or np.abs(_middle(grey) - expected).max() > AFFINE * np.abs(high - low).max():
        raise BadNetwork("Expected an image processor that scales and shifts values, got another one.")
    std, flip = 1 / (high - low), mode == "RGB" and _flips(processor, low, high)
    order = slice(None, None, -1) if flip else slice(None)
    resize, notes = _resize(processor, mode, low[0], high[0])
    height, width = black.shape[1:]
    facts = Facts(
        height=height,
        width=width,
        channels=len(low),
        mean=_rounded((-low * std)[order]),
        std=_rounded(std[order]),
        resize=resize if resize >= max(height, width) else None,
        interpolation=FILTERS.get(int(getattr(processor, "resample", None) or 2), "bilinear"),
    )
    return Seen(facts, flip, notes)


def library() -> Any:
    """Return transformers, which takes seconds to import, and make it silent."""
    module = importlib.import_module("transformers")
    module.utils.logging.set_verbosity_error()
    module.utils.logging.disable_progress_bar()
    return module


def _processor(described: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    """Return the processor, from its numbers and transformers' own code."""
    try:
        with tempfile.TemporaryDirectory() as place:
            for name, data in (("preprocessor_config.json", described), ("config.json", config)):
                (Path(place) / name).write_text(json.dumps(data), encoding="utf-8")
            return library().AutoImageProcessor.from_pretrained(
                place, local_files_only=True, trust_remote_code=False
            )
    except hub.refusals() as error:
        raise BadNetwork(
            "transformers has no such image processor: {reason}", reason=hub.reason(error)
        ) from error


def _answer(processor: Any, picture: Image.Image) -> Values:
    """Return what a processor makes of a picture: ``(c, h, w)``."""
    try:
        values = processor(images=picture, return_tensors="np")["pixel_values"]
    except hub.refusals() as error:
        raise BadNetwork(
            "The image processor takes no pictures: {reason}", reason=hub.reason(error)
        ) from error
    answer = np.asarray(values, dtype=np.float64)
    if answer.ndim != 4 or len(answer) != 1:
        raise BadNetwork("Expected one image of an image processor for one picture, got another shape.")
    first: Values = answer[0]
    return first


def _middle(answer: Values) -> Values:
    """Return the channels of the pixel in the middle, where nothing was padded."""
    channels: Values = answer[:, answer.shape[1] // 2, answer.shape[2] // 2]
    return channels


def _plain(level: int, mode: str) -> Image.Image:
    return Image.new("L", (WIDTH, HEIGHT), level).convert(mode)


def _flips(processor: Any, low: Values, high: Values) -> bool:
    """Return whether a red picture comes out in the last channel."""
    red = _middle(_answer(processor, Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 0))))
    share = (red - low) / (high - low)
    return bool(share[-1] > share[0])


def _resize(processor: Any, mode: str, low: float, high: float) -> tuple[int, tuple[CheckResult, ...]]:
    """Return the short side that pictures are scaled to before the middle is cut out; 0 when they are not."""
    across = _scale(processor, mode, low, high, axis=1)
    down = _scale(processor, mode, low, high, axis=0)
    side = round(HEIGHT / down) if down > 0 else 0
    if side and abs(across / down - 1) < EVEN:
        return side, ()
    words = "Its own processor squeezes pictures into a square; here the square in their middle is taken."
    return side, (CheckResult("crop", "note", words),)


def _scale(processor: Any, mode: str, low: float, high: float, axis: int) -> float:
    """Return how many pixels of a picture one of the answer spans along an axis, by a ramp along it."""
    length = (HEIGHT, WIDTH)[axis]
    ramp = np.round(np.arange(length) * 255 / (length - 1)).astype(np.uint8)
    pixels = np.broadcast_to(ramp if axis else ramp[:, None], (HEIGHT, WIDTH))
    picture = Image.fromarray(np.ascontiguousarray(pixels)).convert(mode)
    values = (_answer(processor, picture)[0].mean(1 - axis) - low) / (high - low) * (length - 1)
    margin = int(len(values) * MARGIN)
    inner = values[margin : len(values) - margin]
    slope: float = np.polyfit(np.arange(len(inner)), inner, 1)[0] if len(inner) > 1 else 0.0
    return slope


def _rounded(values: Values) -> tuple[float, ...]:
    return tuple(round(float(value), 6) + 0.0 for value in values)  # no minus before a zero
