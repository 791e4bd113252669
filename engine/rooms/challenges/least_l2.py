"""The smallest change by l2 that fools a network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from engine.rooms.challenges.contract import File, Kind, Outcome


@dataclass(frozen=True)
class LeastL2(Kind):
    """Fool the network with the least l2 between the original's and the file's pixels."""

    name: ClassVar[str] = "least_l2"
    title: ClassVar[str] = "The smallest change"
    rule: ClassVar[str] = (
        "Make {model} say “{goal}” of the picture “{picture}”. The smallest change wins: the least l2 of the "
        "saved file."
    )
    rule_any: ClassVar[str] = (
        "Make {model} say anything else of the picture “{picture}”. The smallest change wins: the least l2 "
        "of the saved file."
    )
    unit: ClassVar[str] = "l2 {score}"
    suits: ClassVar[tuple[str, ...]] = ("ddn", "bim")

    def score(self, file: File) -> Outcome:
        """Return the l2 on the scale of [0, 1]."""
        outcome = self.fooled(file)
        return outcome if outcome.score is None else replace(outcome, score=file.l2)
