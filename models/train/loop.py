"""How the offline photo net is trained: one loop, no command line, no files but its checkpoint."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.train.augment import Mixed, mixup, random_colours, random_crops
from models.train.data import PhotoSet
from models.train.teacher import Guide

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Stages = tuple[tuple[float, int], ...]


def normalise(x: Tensor) -> Tensor:
    """Return ``x`` ``(n, 3, h, w)`` in [0, 1] less the mean, over the deviation, channels last."""
    shifted = (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    return shifted.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Settings:
    """What a training run is made of. ``stages``: from which share of the run on which size is used.

    ``minutes``: end after so long even if there are epochs left, with the schedule shortened to fit.
    """

    epochs: int = 40
    minutes: float | None = None
    seed: int = 0
    held_out: float = 0.15
    size: int = 128
    stages: Stages = ((0.0, 80), (0.45, 96), (0.75, 128))
    batch: int = 96
    rate: float = 0.1
    decay: float = 5e-4
    momentum: float = 0.9
    warmup: float = 0.03
    mix: float = 0.4
    mix_until: float = 0.85
    smoothing: float = 0.1
    distil: float = 0.7
    temperature: float = 2.0
    average: float = 0.995
    rare_source: str = "imagenet"
    rare_weight: float = 2.0


class Report(NamedTuple):
    """What an epoch came to. ``loss`` is the mean over its batches."""

    epoch: int
    progress: float
    size: int
    loss: float
    seconds: float


@dataclass
class Student:
    """The network in training, its running average (which is what is shipped), and where it stands."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    @classmethod
    def fresh(cls, network: nn.Module, settings: Settings) -> Student:
        """Return a student with everything at its start."""
        network = network.to(memory_format=torch.channels_last)
        weights = [p for p in network.parameters() if p.ndim > 1]
        others = [p for p in network.parameters() if p.ndim <= 1]
        groups = [
            {"params": weights, "weight_decay": settings.decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimiser = torch.optim.SGD(groups, lr=settings.rate, momentum=settings.momentum, nesterov=True)
        average = copy.deepcopy(network).requires_grad_(False)
        return cls(network, average, optimiser, torch.Generator().manual_seed(settings.seed + 1))

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Begin at ``weights`` (a trained net's), with the schedule and the average at their start."""
        self.network.load_state_dict(weights)
        self.average.load_state_dict(weights)

    def save(self, path: Path) -> None:
        """Write a checkpoint that `restore` reads."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "losses": self.losses,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def restore(self, path: Path) -> None:
        """Go back to where a checkpoint was written."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.epoch, self.seconds, self.losses = state["epoch"], state["seconds"], state["losses"]

    @torch.no_grad()
    def follow(self, keep: float) -> None:
        """Move the average towards the network; early on it moves faster."""
        for slow, fast in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)


def learning_rate(settings: Settings, progress: float) -> float:
    """Return the rate at ``progress`` in [0, 1]: a linear rise, then one cosine down to 0."""
    if progress < settings.warmup:
        return settings.rate * (progress + 0.002) / (settings.warmup + 0.002)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def picture_size(settings: Settings, progress: float) -> int:
    """Return the size that pictures have at ``progress``."""
    return [size for start, size in settings.stages if progress >= start][-1]


def draw_weights(photos: PhotoSet, settings: Settings) -> Tensor:
    """Return each photo's chance to be drawn: classes by n^1/2, and the rare source more often."""
    weight = torch.tensor(photos.counts()).clamp(min=1).double().rsqrt()[photos.labels]
    rare = torch.tensor([source == settings.rare_source for source in photos.sources])
    return torch.where(rare, weight * settings.rare_weight, weight)


def mixed_loss(logits: Tensor, mixed: Mixed, labels: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross entropy to both labels of each blended picture, by their shares."""
    own = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
    other = functional.cross_entropy(
        logits, labels[mixed.partner], reduction="none", label_smoothing=smoothing
    )
    return (own * mixed.share + other * (1 - mixed.share)).mean()


def distillation_loss(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Return the softened divergence from the teacher (https://arxiv.org/abs/1503.02531)."""
    pupil = functional.log_softmax(logits / temperature, 1)
    target = functional.log_softmax(taught / temperature, 1)
    return functional.kl_div(pupil, target, reduction="batchmean", log_target=True) * temperature**2


def batch_loss(
    student: Student,
    teacher: Guide | None,
    pictures: Tensor,
    labels: Tensor,
    settings: Settings,
    progress: float,
) -> Tensor:
    """Return the loss of one freshly augmented batch of uint8 ``pictures``."""
    size, generator = picture_size(settings, progress), student.generator
    seen = max(size, teacher.size) if teacher else size
    x = random_colours(random_crops(pictures, seen, generator), generator)
    mixed = mixup(x, settings.mix if progress < settings.mix_until else 0.0, generator)
    full = mixed.x
    small = full if seen == size else functional.interpolate(full, size=size, mode="bilinear", antialias=True)
    logits = student.network(normalise(small))
    loss = mixed_loss(logits, mixed, labels, settings.smoothing)
    if teacher is None:
        return loss
    taught = distillation_loss(logits, teacher(normalise(full)), settings.temperature)
    return (1 - settings.distil) * loss + settings.distil * taught


Loss = Callable[[Student, Guide | None, Tensor, Tensor, Settings, float], Tensor]


def train(
    student: Student,
    photos: PhotoSet,
    teacher: Guide | None,
    settings: Settings,
    *,
    loss_of: Loss = batch_loss,
    on_step: Callable[[float, float], None] = lambda progress, loss: None,
    on_epoch: Callable[[Report], None] = lambda report: None,
) -> None:
    """Train ``student`` on ``photos`` from where it stands to the end of the schedule.

    ``loss_of``: what a batch costs; see `batch_loss`.
    """
    weights = draw_weights(photos, settings)
    per_epoch = max(1, len(photos) // settings.batch)
    while student.epoch < settings.epochs:
        started = time.monotonic()
        rows = torch.multinomial(weights, per_epoch * settings.batch, True, generator=student.generator)
        student.network.train()
        total, progress = 0.0, 0.0
        for step, part in enumerate(rows.split(settings.batch)):
            elapsed = student.seconds + time.monotonic() - started
            progress = (student.epoch + step / per_epoch) / settings.epochs
            if settings.minutes is not None:
                progress = max(progress, elapsed / 60 / settings.minutes)
            if progress >= 1:
                break
            _pace(student, settings, progress)
            batch = photos.pictures[part], photos.labels[part]
            loss = _step(student, loss_of(student, teacher, *batch, settings, progress))
            student.follow(min(settings.average, 1 - 1 / (10 + 100 * settings.epochs * progress)))
            total += loss
            on_step(progress, loss)
        student.epoch += 1
        student.seconds += time.monotonic() - started
        student.losses.append(total / per_epoch)
        size = picture_size(settings, progress)
        on_epoch(Report(student.epoch, progress, size, total / per_epoch, student.seconds))
        if progress >= 1:
            return


def _pace(student: Student, settings: Settings, progress: float) -> None:
    for group in student.optimiser.param_groups:
        group["lr"] = learning_rate(settings, progress)


def _step(student: Student, loss: Tensor) -> float:
    student.optimiser.zero_grad()
    loss.backward()
    student.optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def answers(network: nn.Module, pictures: Tensor, size: int, batch: int = 128) -> Tensor:
    """Return logits ``(n, classes)`` for uint8 squares, resized as a card does."""
    network.eval()
    parts = []
    for part in pictures.split(batch):
        x = part.float() / 255
        if x.shape[-1] != size:
            x = functional.interpolate(x, size=size, mode="bilinear", antialias=x.shape[-1] > size).clamp(
                0, 1
            )
        parts.append(network(normalise(x)))
    return torch.cat(parts)


def top_k(logits: Tensor, labels: Tensor, k: int) -> float:
    """Return the percentage of rows whose label is among the ``k`` highest."""
    best = logits.topk(min(k, logits.shape[1])).indices
    return float((best == labels.unsqueeze(1)).any(1).float().mean()) * 100


def calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Return the expected calibration error in [0, 1] (https://arxiv.org/abs/1706.04599)."""
    confidence, guess = logits.softmax(1).max(1)
    right = (guess == labels).float()
    where = (confidence * bins).long().clamp(max=bins - 1)
    gaps = [
        (confidence[where == b].mean() - right[where == b].mean()).abs() * (where == b).float().mean()
        for b in range(bins)
        if (where == b).any()
    ]
    return float(torch.stack(gaps).sum())


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature that makes the labels likeliest, to 1 % (same paper)."""
    ladder = [0.3 * 1.01**rung for rung in range(240)]
    return min(ladder, key=lambda t: float(functional.cross_entropy(logits / t, labels)))
