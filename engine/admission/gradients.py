"""Whether attacks can follow the network's gradient: compared with differences, and between devices."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from engine.admission.subject import Subject, reason
from engine.device import pick_device
from engine.placement import placed
from errors import ModelFailed
from models.added.record import CheckResult

DIRECTIONS = 4
SLOW = 0.5
"""Seconds of a step from which on fewer are tried."""
STEPS = {torch.float64: 1e-6, torch.float32: 2e-3}
"""How far to both sides differences are taken, for images in [0, 1]."""
TOLERANCES = {torch.float64: 0.01, torch.float32: 0.15}
"""Length of the error of the slopes, relative to that of the slopes."""
FLAT = 1e-12
"""Slopes below it, of logits, are none."""


def gradient(subject: Subject, seconds: float = 0.0) -> Iterator[CheckResult]:
    """Yield how the gradient of the margin between the two most likely classes compares with central
    differences along random directions, in double precision where the network can. Fewer directions are tried
    where a step takes many ``seconds``."""
    classifier, images = subject.classifier(), subject.images()[1:2]
    count = DIRECTIONS if seconds < SLOW else 2
    try:
        precision, slopes, differences = _slopes(classifier, images, count)
    except Exception as error:  # what a network's own code raises is its own
        words = "Attacks with gradients cannot work: the network has no gradient at its input ({reason})."
        yield CheckResult("gradient", "note", words, {"reason": reason(error)})
        return
    yield _verdict(precision, slopes, differences)


def _verdict(precision: torch.dtype, slopes: Tensor, differences: Tensor) -> CheckResult:
    length, expected = float(slopes.norm()), float(differences.norm())
    error = float((slopes - differences).norm()) / max(expected, length, FLAT)
    facts: dict[str, str | int | float] = {"directions": len(slopes), "error": float(f"{error:.2g}")}
    facts |= {"slope": float(f"{length:.3g}"), "difference": float(f"{expected:.3g}")}
    facts["bits"] = 64 if precision == torch.float64 else 32
    if length <= FLAT and expected <= FLAT:
        words = (
            "Attacks with gradients cannot work: the gradient is zero, and so are differences along "
            "{directions} directions; the network is flat there (rounded, quantised or saturated)."
        )
        return CheckResult("gradient", "note", words, facts)
    if length <= FLAT:
        words = (
            "Attacks with gradients cannot work: the gradient is zero, but differences along {directions} "
            "directions say {difference}; something in the network stops it."
        )
        return CheckResult("gradient", "note", words, facts)
    if not error <= TOLERANCES[precision]:
        words = (
            "Attacks with gradients may go astray: the gradient is not the network's slope. Along "
            "{directions} directions it says {slope}, differences say {difference} (relative error {error})."
        )
        return CheckResult("gradient", "note", words, facts)
    words = "The gradient agrees with differences along {directions} directions to {error} (in {bits} bits)."
    return CheckResult("gradient", "fine", words, facts)


def _slopes(classifier: nn.Module, images: Tensor, count: int) -> tuple[torch.dtype, Tensor, Tensor]:
    """Return the precision, the slopes ``(directions,)`` from the gradient, and from differences."""
    try:
        return torch.float64, *_compared(classifier.double(), images.double(), count)
    except Exception:  # a network with numbers of its own precision: what it says in that is reported
        return torch.float32, *_compared(classifier.float(), images, count)
    finally:
        classifier.float()


def _compared(classifier: nn.Module, images: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return slopes of the margin at ``images`` ``(1, c, h, w)`` along directions of unit length."""
    x = images.clone().requires_grad_()
    with torch.enable_grad():
        logits = classifier(x)
        first, second = logits[0].topk(2).indices.tolist()
        gradient = _at_input(logits[0, first] - logits[0, second], x)
    generator = torch.Generator().manual_seed(0)
    shape = (count, *images.shape[1:])
    directions = torch.randn(shape, generator=generator).sign().to(images) / images[0].numel() ** 0.5
    step = STEPS[images.dtype] * images[0].numel() ** 0.5
    with torch.no_grad():
        ahead, behind = (
            torch.cat([classifier(images + sign * step * one) for one in directions.split(1)])
            for sign in (1, -1)
        )
    margins = (ahead - behind)[:, first] - (ahead - behind)[:, second]
    return (gradient * directions).sum((1, 2, 3)), margins / (2 * step)


def _at_input(margin: Tensor, x: Tensor) -> Tensor:
    """Return the gradient, zero where nothing that autograd sees leads from the image to the answer."""
    if not margin.requires_grad:
        return torch.zeros_like(x)
    (gradient,) = torch.autograd.grad(margin, x, allow_unused=True)
    return torch.zeros_like(x) if gradient is None else gradient


def devices(subject: Subject) -> CheckResult:
    """Return whether the device that attacks run on computes the gradient that the CPU does."""
    device = pick_device()
    if device.type == "cpu":
        words = "Attacks run on the CPU: there is no other device to compare with."
        return CheckResult("device", "fine", words)
    try:
        placed(subject.classifier(), device)
    except (ModelFailed, RuntimeError) as error:
        words = "It cannot be run on {device} ({reason}): set FOOLSCOPE_DEVICE=cpu."
        return CheckResult("device", "note", words, {"device": str(device), "reason": reason(error)})
    finally:
        subject.network.to("cpu").to(memory_format=torch.contiguous_format)
    words = "Its gradient on {device} is that on the CPU."
    return CheckResult("device", "fine", words, {"device": str(device)})
