"""Which other networks, that were not attacked, an adversarial image fools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import models
from engine.base import EngineBase
from engine.robustness.answers import Asked
from engine.run import Prediction, Run
from engine.work import only_answer
from errors import FoolscopeError
from models import weights
from models.core import Card


@dataclass(frozen=True)
class Transfer:
    """What ``model`` says of a run's original image (``before``) and of its last one (``after``);
    ``attacked``: whether it is the network that the run attacked, or one of several attacked as one."""

    model: str
    before: Prediction
    after: Prediction
    attacked: bool

    @property
    def fooled(self) -> bool:
        """Return whether it changes its mind."""
        return self.before.label != self.after.label


def testify(engine: EngineBase, run: Run, model: str) -> tuple[Prediction, Prediction]:
    """Return what ``model`` says of the original and of the run's last image so far.

    The images keep every digit; for a network of another input size they are resized.
    Raises `errors.WeightsError` when its weights cannot be had.
    """
    pair = np.stack([run.start, run.picture(len(run) - 1)])
    before, after = only_answer(engine, Asked(model, pair))
    return before, after


def others(model: str) -> list[str]:
    """Return the networks that take the same kind of image as ``model``, itself (and its parts) left out."""
    mine = models.card(model)
    known = [card.name for card in models.cards() if card.channels == mine.channels]
    return [name for name in known if name != model and name not in mine.parts]


def here(card: Card) -> list[str]:
    """Return the networks that take the same kind of image as ``card``'s and whose weights are here, itself
    first, those of the lab last."""
    near = [c for c in models.cards() if c.channels == card.channels and weights.locate(c)]
    first = [card] if card.name not in models.registry() else []
    return [c.name for c in sorted(first + near, key=lambda c: (c.name != card.name, c.lab))]


def transfers(engine: EngineBase, run: Run) -> list[Transfer | FoolscopeError]:
    """Return what each network that is `here` makes of a run's images, or why it cannot be asked."""
    return [_transfer(engine, run, name) for name in here(models.card(run.recipe.model))]


def _transfer(engine: EngineBase, run: Run, model: str) -> Transfer | FoolscopeError:
    attacked = model == run.recipe.model or model in models.card(run.recipe.model).parts
    try:
        return Transfer(model, *testify(engine, run, model), attacked)
    except FoolscopeError as error:
        return error
