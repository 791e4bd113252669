"""Small pictures as text that a page can show: PNG in base64."""

from __future__ import annotations

import base64
import io
import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

T = TypeVar("T", Tensor, npt.NDArray[np.float32])


def png(levels: npt.ArrayLike) -> str:
    """Return ``(height, width)`` in [0, 1], 0 black and 1 white, as a PNG in base64."""
    return _encoded(levels)


def signed(values: T, top: float) -> T:
    """Return ``values`` from [-top, top] brought to [0, 1], so that 0 is middle grey."""
    return 0.5 + values / (2 * top if top > 0 else 1)


def sheet(tiles: Tensor, columns: int = 10) -> str:
    """Return tiles ``(n, height, width)`` in [0, 1] as one PNG in base64, row by row, a white pixel apart."""
    framed = functional.pad(tiles, (0, 1, 0, 1), value=1.0)
    n, height, width = framed.shape
    rows = math.ceil(n / columns)
    room = torch.ones(rows * columns, height, width)
    room[:n] = framed
    whole = room.view(rows, columns, height, width).permute(0, 2, 1, 3)
    return png(whole.reshape(rows * height, columns * width)[:-1, :-1])


def colour(levels: npt.ArrayLike) -> str:
    """Return ``(3, height, width)`` in [0, 1], red, green, blue, as a PNG in base64."""
    return _encoded(np.moveaxis(np.asarray(levels), 0, -1))


def _encoded(levels: npt.ArrayLike) -> str:
    octets = np.round(np.clip(np.asarray(levels), 0, 1) * 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(octets)).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def read(picture: str) -> npt.NDArray[np.float32]:
    """Return the levels ``(3, height, width)`` in [0, 1] of a PNG in base64."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
        levels = np.asarray(opened.convert("RGB"), dtype=np.float32) / np.float32(255)
    return levels.transpose(2, 0, 1).copy()
