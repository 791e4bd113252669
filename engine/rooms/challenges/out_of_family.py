"""How far out of a family of classes a picture can be brought: a dog that is no longer any dog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from engine.rooms.challenges.contract import File, Kind, Outcome
from engine.run import Prediction
from engine.sentences import Said
from errors import BadSetting, BadTarget, UnknownName
from models.superclasses import superclasses

WITHIN = "It does not count: the network says {label}, which is of the same family."
TOO_FAR = "It does not count: a value changed by {got} grey levels, and {most} are allowed."
LEFT = "It counts: the network says {label}, which is outside the family."


@dataclass(frozen=True)
class OutOfFamily(Kind):
    """Bring the picture out of a superclass of `models.superclasses`, the ``family``, by changes of at most
    ``levels`` grey levels: the largest margin of the logits wins."""

    family: str = "dogs"
    levels: int = 8

    name: ClassVar[str] = "out_of_family"
    title: ClassVar[str] = "Out of the family"
    rule: ClassVar[str] = (
        "Make {model} say “{goal}” of the picture “{picture}”. {count} classes are of its family: get as far "
        "away from all of them as you can, with changes of at most {levels} grey levels. The largest margin "
        "wins: how far the best class outside leads the best within."
    )
    rule_any: ClassVar[str] = (
        "Make {model} see nothing of its family in the picture “{picture}”. {count} classes belong to it: "
        "get as far away from all of them as you can, with changes of at most {levels} grey levels. The "
        "largest margin wins: how far the best class outside leads the best within."
    )
    unit: ClassVar[str] = "margin {score}"
    lower_wins: ClassVar[bool] = False
    suits: ClassVar[tuple[str, ...]] = ("mi_fgsm", "bim")

    def __post_init__(self) -> None:
        super().__post_init__()
        known = superclasses(self.card)
        if self.family not in known:
            raise UnknownName.of("family", self.family, known)
        if not 1 <= self.levels <= 255:
            raise BadSetting("Expected grey levels from 1 to 255, got {got}.", got=self.levels)
        if self.aim in known[self.family]:
            raise BadTarget("Expected a target outside the family, got {label}.", label=self.target_label)

    @property
    def inside(self) -> tuple[int, ...]:
        """Return the classes of the family, by index."""
        return superclasses(self.card)[self.family]

    def facts(self) -> Mapping[str, str | int]:
        """Return the facts of the rule, with the size of the family and the largest change."""
        return {**super().facts(), "count": len(self.inside), "levels": self.levels}

    def begin(self) -> Mapping[str, str]:
        """Return the largest change that is allowed."""
        return {"epsilon": f"{self.levels}/255"}

    def check(self, first: Prediction) -> None:
        """Raise `errors.BadTarget` where the original is not of the family."""
        if first.index not in self.inside:
            raise BadTarget("Expected a picture of the family, got {label}.", label=first.label)

    def score(self, file: File) -> Outcome:
        """Return by how much, in logits, the best class outside the family leads the best within."""
        if file.levels > self.levels:
            return Outcome(None, (TOO_FAR, {"got": round(file.levels), "most": self.levels}))
        answer = file.says()
        first = answer.first
        if first.index in self.inside:
            return Outcome(None, (WITHIN, {"label": first.label}))
        if self.target:
            outcome = self.fooled(file)
            if outcome.score is None:
                return outcome
        inside = list(self.inside)
        lead = np.delete(answer.logits, inside).max() - answer.logits[inside].max()
        return Outcome(float(lead), (LEFT, {"label": first.label}), first.label)

    def shown(self, score: float) -> Said:
        """Return the margin."""
        return self.unit, {"score": f"{score:.2f}"}
