"""What an evaluation is, a plan, and what it leaves: a row for each picture, network, attack and budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Picture:
    """A picture to attack. ``file``: what the table calls it; ``label``: what it shows, as the person says,
    None where nobody said; ``path``: its file, None for a sample of that name."""

    file: str
    label: str | None = None
    path: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What is done to every picture, as texts that a link understands.

    ``attacks``: names; ``settings``: of the attacks, each for those that have a setting of that name.
    ``epsilons``: budgets in [0, 1]-scaled pixels, of which 0 is the untouched picture; none: each attack's
    own. ``target``: a label, an index, a rank ("least likely") or "any". ``fields``: of the recipe, such as
    stop and seed. ``as_is``: dark writing is not prepared for networks that read digits.
    """

    models: tuple[str, ...]
    attacks: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    epsilons: tuple[float, ...] = ()
    target: str = "any"
    fields: Mapping[str, str] = field(default_factory=dict)
    as_is: bool = False

    def plain(self) -> dict[str, Any]:
        """Return the plan as JSON holds it."""
        lists = {name: list(getattr(self, name)) for name in ("models", "attacks", "epsilons")}
        return dataclasses.asdict(self) | lists


class Key(NamedTuple):
    """What no two rows share."""

    file: str
    model: str
    attack: str
    epsilon: float | None


@dataclass(frozen=True)
class Row:
    """What became of one picture under one attack on one network.

    ``epsilon``: the attack's budget in ``norm``, None where it has none. ``label``: what the picture shows,
    where that is known; ``correct``: whether the clean prediction is that. ``success``: whether the last
    picture fools as asked (another class than the clean prediction's, or the target). ``linf`` to ``l1`` on
    the scale of [0, 1]; ``l0`` counts values, of which a pixel in colour has three. ``queries``: images asked
    about, the untouched one included. ``seconds``: from the run's start to its end, which it shared with the
    others in flight. ``error``: why there are no figures, in a sentence. ``picture``: the file of the fooling
    picture; ``picture_fools``: whether that file, read back, fools too. All that is not known is None.
    """

    file: str
    model: str
    attack: str
    norm: str | None = None
    epsilon: float | None = None
    label: str | None = None
    clean_prediction: str | None = None
    clean_probability: float | None = None
    correct: bool | None = None
    target: str | None = None
    success: bool | None = None
    final_label: str | None = None
    final_probability: float | None = None
    linf: float | None = None
    l2: float | None = None
    l1: float | None = None
    l0: float | None = None
    steps: int | None = None
    queries: int | None = None
    gradient_evaluations: int | None = None
    seconds: float | None = None
    stopped_because: str | None = None
    error: str | None = None
    picture: str | None = None
    picture_fools: bool | None = None

    @property
    def key(self) -> Key:
        """Return what no other row of the evaluation has."""
        return Key(self.file, self.model, self.attack, self.epsilon)

    @property
    def attacked(self) -> bool:
        """Say whether there are figures."""
        return self.success is not None

    @property
    def survived(self) -> bool | None:
        """Say whether the network names the picture rightly before and after; None where nobody knows."""
        if self.correct is None or not self.attacked:
            return None
        return self.correct and self.final_label == self.clean_prediction


COLUMNS = tuple(item.name for item in dataclasses.fields(Row))
