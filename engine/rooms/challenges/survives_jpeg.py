"""The smallest change that still fools after the picture was saved as JPEG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from engine.robustness.corruptions import CORRUPTIONS, jpeg
from engine.rooms.challenges.contract import File, Kind, Outcome
from errors import BadSetting

LOST = "It does not count: saved as JPEG {quality}, the network says {label} again."
LOST_TARGET = "It does not count: saved as JPEG {quality}, the network says {label}, not {goal}."
SURVIVES = "It counts: the network says {label}, as a JPEG of quality {quality} too."


@dataclass(frozen=True)
class SurvivesJpeg(Kind):
    """Fool the network as the file is and after it was saved as JPEG of ``quality``, 1 to 95; the least l2
    of the file wins."""

    quality: int = 75

    name: ClassVar[str] = "survives_jpeg"
    title: ClassVar[str] = "It survives JPEG"
    rule: ClassVar[str] = (
        "Make {model} say “{goal}” of the picture “{picture}”, even after it was saved as JPEG of quality "
        "{quality}. The smallest change wins: the least l2."
    )
    rule_any: ClassVar[str] = (
        "Make {model} say anything else of the picture “{picture}”, even after it was saved as JPEG of "
        "quality {quality}. The smallest change wins: the least l2."
    )
    unit: ClassVar[str] = "l2 {score}"
    suits: ClassVar[tuple[str, ...]] = ("mi_fgsm", "bim")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.quality <= 95:
            raise BadSetting("Expected a JPEG quality from 1 to 95, got {got}.", got=self.quality)

    def facts(self) -> Mapping[str, str | int]:
        """Return the facts of the rule, with the quality."""
        return {**super().facts(), "quality": self.quality}

    def begin(self) -> Mapping[str, str]:
        """Return that the attack looks at the JPEG too, where there is one of that quality."""
        name = f"jpeg{self.quality}"
        return {"survives": name} if name in CORRUPTIONS else {}

    def score(self, file: File) -> Outcome:
        """Return the l2 of the file, on the scale of [0, 1]."""
        before = self.fooled(file)
        if before.score is None:
            return before
        after = self.fooled(file, picture=jpeg(self.quality)(file.picture))
        facts = {**after.said[1], "quality": self.quality}
        if after.score is None:
            return replace(after, said=(LOST_TARGET if self.target else LOST, facts))
        return Outcome(file.l2, (SURVIVES, facts), before.label)
