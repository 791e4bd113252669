"""The fewest pixels that have to change until a network is fooled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from engine.rooms.challenges.contract import File, Kind, Outcome
from engine.sentences import Said


@dataclass(frozen=True)
class FewestPixels(Kind):
    """Fool the network by changing the fewest pixels; a pixel counts once, whatever its colours."""

    name: ClassVar[str] = "fewest_pixels"
    title: ClassVar[str] = "The fewest pixels"
    rule: ClassVar[str] = (
        "Make {model} say “{goal}” of the picture “{picture}” by changing as few pixels as you can, however "
        "much each one changes."
    )
    rule_any: ClassVar[str] = (
        "Make {model} say anything else of the picture “{picture}” by changing as few pixels as you can, "
        "however much each one changes."
    )
    unit: ClassVar[str] = "pixels changed: {score}"
    suits: ClassVar[tuple[str, ...]] = ("sigma_zero", "jsma", "one_pixel")

    def score(self, file: File) -> Outcome:
        """Return how many pixels differ from the original's in any colour."""
        outcome = self.fooled(file)
        if outcome.score is None:
            return outcome
        differs = file.change.reshape(file.picture.height, file.picture.width, -1).any(2)
        return replace(outcome, score=float(np.count_nonzero(differs)))

    def shown(self, score: float) -> Said:
        """Return the number of pixels."""
        return self.unit, {"score": f"{score:,.0f}"}
