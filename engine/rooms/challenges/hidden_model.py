"""The smallest change that fools a network which nobody may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import models
from engine.rooms.challenges.contract import File, Kind, Outcome
from errors import BadSetting

STILL = "It does not count: the hidden network is not fooled."
FOOLED = "It counts: the hidden network is fooled, and says {label}."


@dataclass(frozen=True)
class HiddenModel(Kind):
    """Fool the network ``hidden`` by pictures made with others, ``model`` for one; what it is called and how
    it errs is told to nobody. The least l2 at the size that ``model`` takes wins."""

    hidden: str = ""

    name: ClassVar[str] = "hidden_model"
    title: ClassVar[str] = "A network nobody may see"
    rule: ClassVar[str] = (
        "Somewhere in the server is a network that you cannot try. Make it say “{goal}” of the picture "
        "“{picture}”, with a file made for {model}. The smallest change wins: the least l2."
    )
    rule_any: ClassVar[str] = (
        "Somewhere in the server is a network that you cannot try. Make it say anything else of the picture "
        "“{picture}”, with a file made for {model}. The smallest change wins: the least l2."
    )
    unit: ClassVar[str] = "l2 {score}"
    suits: ClassVar[tuple[str, ...]] = ("mi_fgsm", "bim")

    def __post_init__(self) -> None:
        super().__post_init__()
        hidden = models.card(self.hidden)
        if hidden.name == self.model or hidden.channels != self.card.channels:
            raise BadSetting(
                "Expected a hidden network other than {model}, for pictures of the same kind.",
                model=self.model,
            )
        if self.target and self.target_label not in hidden.labels:
            raise BadSetting(
                "Expected a class that the hidden network has too, got {label}.", label=self.target_label
            )

    @property
    def hidden_model(self) -> str:
        """Return the network that nobody may see."""
        return self.hidden

    def begin(self) -> Mapping[str, str]:
        """Return a change that is large enough to have a chance with a network that it was not made for."""
        return {"epsilon": "16/255", "step_size": "1/255", "steps": "40"}

    def score(self, file: File) -> Outcome:
        """Return the l2 of the file, on the scale of [0, 1]."""
        outcome = self.fooled(file, self.hidden)
        if outcome.score is None:
            return Outcome(None, (STILL, {}))
        return Outcome(file.l2, (FOOLED, {"label": outcome.label}), outcome.label)
