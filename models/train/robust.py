"""Adversarial training of the offline photo net: single steps from a random start, taught by the clean net.

N-FGSM (https://arxiv.org/abs/2202.01181): one signed step from noise wider than the ball, not cut back to
it, which does not collapse as the fast training of https://arxiv.org/abs/2001.03994 can. The clean net's
answers are the targets (https://arxiv.org/abs/1905.09747).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models import prepared
from models.train.augment import random_colours, random_crops
from models.train.data import PhotoSet
from models.train.loop import Settings, Student, distillation_loss, normalise, picture_size
from models.train.teacher import Guide

Withstands = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, float, int, torch.Generator], Tensor]
"""An attack that judges what was trained, given to training from outside; see
`experiments.methods.withstanding.withstands`."""


@dataclass(frozen=True)
class RobustSettings(Settings):
    """What adversarial training is made of, besides `Settings`.

    ``epsilon``: the largest change of a pixel (linf), for pixels in [0, 1]. ``noise``: half the width of
    the random start, in ``epsilon``. ``judged``: how many held-out photos are attacked in the end.
    """

    epochs: int = 30
    rate: float = 0.03
    mix: float = 0.0
    average: float = 0.99
    epsilon: float = 4 / 255
    noise: float = 2.0
    judged: int = 384


class CleanNet(nn.Module):
    """The clean net as a guide: ``(n, 3, s, s)`` normalised -> logits, at whatever size the student sees."""

    size = 0

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(n, classes)``."""
        logits: Tensor = self.network(x)
        return logits


def perturbed(student: Student, x: Tensor, labels: Tensor, settings: RobustSettings) -> Tensor:
    """Return ``x`` ``(n, 3, s, s)`` in [0, 1] after noise and one signed step up the loss, in [0, 1]."""
    noise = torch.rand(x.shape, generator=student.generator) * 2 - 1
    start = (x + settings.noise * settings.epsilon * noise).requires_grad_()
    student.network.eval()  # the running averages shall be those of what is learnt from, not of noise
    with torch.autocast("cpu", torch.bfloat16):
        logits = student.network(normalise(start))
    student.network.train()
    (grad,) = torch.autograd.grad(functional.cross_entropy(logits.float(), labels), start)
    return (start.detach() + settings.epsilon * grad.sign()).clamp(0, 1)


def robust_loss(
    student: Student,
    teacher: Guide | None,
    pictures: Tensor,
    labels: Tensor,
    settings: Settings,
    progress: float,
) -> Tensor:
    """Return the loss of one freshly augmented batch of uint8 ``pictures``, attacked as it stands."""
    assert isinstance(settings, RobustSettings) and teacher is not None
    size = picture_size(settings, progress)
    x = random_colours(random_crops(pictures, size, student.generator), student.generator)
    adv = perturbed(student, x, labels, settings)
    with torch.autocast("cpu", torch.bfloat16):
        taught, logits = teacher(normalise(x)).float(), student.network(normalise(adv)).float()
    own = functional.cross_entropy(logits, labels, label_smoothing=settings.smoothing)
    return (1 - settings.distil) * own + settings.distil * distillation_loss(
        logits, taught, settings.temperature
    )


def robust_accuracy(
    network: nn.Module, photos: PhotoSet, settings: RobustSettings, withstands: Withstands, steps: int = 20
) -> dict[str, float]:
    """Return the percentage of ``photos`` named right, clean and after PGD (linf ``epsilon``, random start,
    steps of a quarter of ``epsilon``) has tried, as ``withstands`` says."""
    frozen = prepared(copy.deepcopy(network))

    def ask(x: Tensor) -> Tensor:
        logits: Tensor = frozen(normalise(x))
        return logits

    generator, held = torch.Generator().manual_seed(settings.seed), []
    for pictures, labels in zip(photos.pictures.split(128), photos.labels.split(128), strict=True):
        x = functional.interpolate(pictures.float() / 255, settings.size, mode="bilinear", antialias=True)
        held.append(withstands(ask, x.clamp(0, 1), labels, settings.epsilon, steps, generator))
    clean, attacked = torch.cat(held).float().mean(0).mul(100).tolist()
    return {"clean": round(clean, 1), f"PGD-{steps}": round(attacked, 1)}
