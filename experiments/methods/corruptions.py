"""What happens to pictures on their way: saved, shrunk, blurred, photographed off the screen.

The corruptions themselves are those of `engine.robustness.corruptions`; these are the ones that the
experiments count.
"""

from __future__ import annotations

from torch import Tensor

from engine.robustness import corruptions
from engine.robustness.corruptions import Change, picture, screenshot, tensor

__all__ = ["CORRUPTIONS", "corrupted", "picture"]

COUNTED = ("png", "jpeg95", "jpeg75", "jpeg50", "half", "blur")
CORRUPTIONS: dict[str, Change] = {
    corruptions.CORRUPTIONS[name].title: corruptions.CORRUPTIONS[name].apply for name in COUNTED
} | {"screenshot": screenshot}
"""What is done to a picture, by its name on the page."""


def corrupted(x: Tensor, name: str) -> Tensor:
    """Return ``x`` ``(c, h, w)`` in [0, 1] after one of `CORRUPTIONS`."""
    return tensor(CORRUPTIONS[name](picture(x)))
