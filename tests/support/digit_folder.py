"""Real digits as real files: scikit-learn's, as large as MNIST's, in folders called by their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

BROKEN = b"\x89PNG\r\n\x1a\n and no more"


def write(folder: Path, count: int) -> dict[str, int]:
    """Write the first ``count`` digits as ``folder/label/number.png``; return the label of each file."""
    digits = load_digits()
    shown: dict[str, int] = {}
    for number, (pixels, label) in enumerate(zip(digits.images[:count], digits.target, strict=False)):
        file = f"{label}/{number:03d}.png"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        levels = np.rint(pixels * 255 / 16).astype(np.uint8)
        small = Image.fromarray(levels).resize((20, 20), Image.Resampling.BICUBIC)
        whole = Image.new("L", (28, 28))
        whole.paste(small, (4, 4))
        whole.save(folder / file)
        shown[file] = int(label)
    return shown
