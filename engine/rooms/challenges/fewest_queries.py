"""The fewest questions to a network, without its gradients, until it is fooled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from engine.rooms.challenges.contract import File, Kind, Outcome
from engine.sentences import Said

GRADIENTS = "It does not count: that run asked the network for {count} gradients, and none are allowed here."
OTHER_NETWORK = "It does not count: the questions have to go to {model}, and that run asked another network."


@dataclass(frozen=True)
class FewestQueries(Kind):
    """Fool the network by an attack without gradients that asks the fewest questions, as the server counted
    them while the run went on."""

    name: ClassVar[str] = "fewest_queries"
    title: ClassVar[str] = "The fewest questions"
    rule: ClassVar[str] = (
        "Make {model} say “{goal}” of the picture “{picture}” without gradients: only by asking what it "
        "says. The fewest questions win."
    )
    rule_any: ClassVar[str] = (
        "Make {model} say anything else of the picture “{picture}” without gradients: only by asking what it "
        "says. The fewest questions win."
    )
    unit: ClassVar[str] = "questions: {score}"
    finished: ClassVar[bool] = False
    suits: ClassVar[tuple[str, ...]] = ("square", "simba")

    def begin(self) -> Mapping[str, str]:
        """Return that the run stops at success: more questions only cost."""
        return {"stop": "success"}

    def score(self, file: File) -> Outcome:
        """Return how many pictures the run asked about."""
        run = file.run
        if run.recipe.model != self.model:
            return Outcome(None, (OTHER_NETWORK, {"model": self.card.title}))
        if run.gradient_evaluations:
            return Outcome(None, (GRADIENTS, {"count": run.gradient_evaluations}))
        outcome = self.fooled(file)
        return outcome if outcome.score is None else replace(outcome, score=float(run.queries))

    def shown(self, score: float) -> Said:
        """Return the number of questions."""
        return self.unit, {"score": f"{score:,.0f}"}
