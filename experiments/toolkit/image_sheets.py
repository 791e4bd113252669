"""Small pictures as text that a page can show: PNG in base64."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional


def png(levels: Tensor) -> str:
    """Return ``(height, width)`` in [0, 1], 0 black and 1 white, as a PNG in base64."""
    grey = (levels.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def signed(values: Tensor, top: float) -> Tensor:
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


def colour(levels: Tensor) -> str:
    """Return ``(3, height, width)`` in [0, 1], red, green, blue, as a PNG in base64."""
    whole = (levels.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    out = io.BytesIO()
    Image.fromarray(whole).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def read(picture: str) -> Tensor:
    """Return the levels ``(3, height, width)`` in [0, 1] of a PNG in base64."""
    with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
        levels = np.asarray(opened.convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(levels.transpose(2, 0, 1).copy())
