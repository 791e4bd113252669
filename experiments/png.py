"""Pictures as text that JSON can hold."""

from __future__ import annotations

import base64
import io

from PIL import Image
from torch import Tensor


def png(x: Tensor) -> str:
    """Return a picture ``(h, w)`` in [0, 1] (what lies outside is cut off) as PNG in base64."""
    file = io.BytesIO()
    Image.fromarray((x.clamp(0, 1) * 255).round().byte().numpy()).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
