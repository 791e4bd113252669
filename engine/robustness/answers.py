"""What a network says of a run's image after each corruption, the clean image and noise of that size too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

import attacks
import models
from attacks.contract import Stop
from attacks.toolkit.norms import LINF
from engine.base import EngineBase
from engine.classification import ranking
from engine.recipe import Recipe, Value
from engine.robustness.corruptions import CORRUPTIONS, Corruption, ordered
from engine.run import Floats, Prediction, Run
from engine.work import Evaluates, only_answer
from errors import BadSetting
from models.core import fitted

NOISE_SEED = 0
"""Of the signs of the noise."""
ATTACK, STEPS = "pgd", 40
"""The attack that makes an image survive, and for how many steps."""
BUDGETS = tuple(level / 255 for level in (2, 4, 6, 8, 12, 16, 24, 32, 64, 128))
"""The budgets (linf) that are offered for it."""
USUAL_BUDGETS = {3: 8 / 255, 1: 64 / 255}
"""The budget that is offered first for images with so many channels."""


@dataclass(frozen=True)
class Row:
    """What a network says after ``corruption``, None for none: of the run's image (``attacked``), of its
    ``clean`` image and of noise of the same size added to that (``noise``)."""

    corruption: Corruption | None
    attacked: Prediction
    clean: Prediction
    noise: Prediction


def corruptions_for(channels: int) -> list[Corruption]:
    """Return the corruptions of images with so many channels: those without colours cannot lose them."""
    return [corruption for corruption in CORRUPTIONS.values() if channels == 3 or corruption.name != "grey"]


def noise(clean: Tensor, attacked: Tensor, seed: int = NOISE_SEED) -> Tensor:
    """Return ``clean`` ``(c, h, w)`` in [0, 1] with every value moved by as much as in ``attacked``, up or
    down at random: noise of the same linf, l2 and l1. A value that would leave [0, 1] moves the other way."""
    change = attacked - clean
    rng = torch.Generator().manual_seed(seed)
    drawn = clean + change * (torch.randint(2, change.shape, generator=rng) * 2 - 1)
    return torch.where((drawn < 0) | (drawn > 1), attacked, drawn)


@dataclass(frozen=True, eq=False)
class Corrupted:
    """Asks ``model`` about a ``clean`` and an ``attacked`` image ``(c, size, size)`` in [0, 1], and noise of
    the same size, as they are and after each corruption: all at once. A piece of `engine.work`."""

    model: str
    clean: Floats
    attacked: Floats

    def carry_out(self, engine: Evaluates) -> Iterator[list[Prediction]]:
        """Yield the first classes of the attacked image, the clean one and noise, without a corruption and
        after each of `corruptions_for`."""
        clean, attacked = torch.from_numpy(self.clean), torch.from_numpy(self.attacked)
        three = torch.stack([attacked, clean, noise(clean, attacked)])
        kinds = corruptions_for(len(clean))
        yield opinions(engine, self.model, torch.cat([three, *(kind.of(three) for kind in kinds)]))


@dataclass(frozen=True, eq=False)
class Asked:
    """Asks ``model`` about ``images`` ``(n, c, h, w)`` in [0, 1], resized to its own size. A piece of
    `engine.work`."""

    model: str
    images: Floats

    def carry_out(self, engine: Evaluates) -> Iterator[list[Prediction]]:
        """Yield the first class of each image."""
        yield opinions(
            engine, self.model, fitted(torch.from_numpy(self.images), models.card(self.model).size)
        )


def corrupted_answers(engine: EngineBase, run: Run) -> list[Row]:
    """Return a row without a corruption and one for each of a run's last image.

    Raises `errors.FoolscopeError` as `engine.base.EngineBase.carry_out` does.
    """
    work = Corrupted(run.recipe.model, run.start, run.picture(len(run) - 1))
    answers = only_answer(engine, work)
    kinds = [None, *corruptions_for(len(run.start))]
    return [Row(kind, *answers[3 * index : 3 * index + 3]) for index, kind in enumerate(kinds)]


def opinions(engine: Evaluates, model: str, x: Tensor) -> list[Prediction]:
    """Return the first class of ``model`` for images ``x`` ``(n, c, size, size)`` in [0, 1]."""
    card = models.card(model)
    return [ranking(logits.numpy(), card, 1)[0] for logits in engine.evaluate(model, x).logits]


def survivor(recipe: Recipe, names: tuple[str, ...], epsilon: float) -> Recipe:
    """Return the recipe of an image of the same goal that survives the corruptions ``names``: PGD under linf
    within ``epsilon``, over the image and what each corruption makes of it (`engine.robustness.surviving`).

    Raises `errors.BadSetting` when ``names`` is empty or ``epsilon`` out of range, `errors.UnknownName` for a
    corruption that is not there.
    """
    if not names:
        raise BadSetting("Expected at least one corruption to survive, got none.")
    params: dict[str, Value] = {
        "norm": LINF.name,
        "epsilon": epsilon,
        "step_size": epsilon / 8,
        "steps": STEPS,
    }
    attacks.get(ATTACK)(**params)
    return replace(recipe, attack=ATTACK, params=params, stop=Stop("steps"), survives=ordered(names))
