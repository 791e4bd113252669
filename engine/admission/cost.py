"""What a network costs: its parameters, and the time and memory of a step of an attack."""

from __future__ import annotations

import statistics
import time
from contextlib import suppress

import torch
from torch import Tensor, nn

from engine.admission.subject import Subject
from errors import BadNetwork
from models.added.record import CheckResult

MOST_PARAMETERS = 2_000_000_000
ROUNDS = 3
ENOUGH = 2.0
"""Seconds after which no further round is taken."""
SLOW = 2.0
"""A step that takes more seconds is worth knowing."""


def parameters(network: nn.Module) -> int:
    """Return how many numbers the network learnt."""
    return sum(parameter.numel() for parameter in network.parameters())


def check_parameters(network: nn.Module) -> None:
    """Raise `errors.BadNetwork` when there are more than `MOST_PARAMETERS`."""
    count = parameters(network)
    if count > MOST_PARAMETERS:
        words = "Expected a network of at most {most:,} parameters, got one of {count:,}."
        raise BadNetwork(words, most=MOST_PARAMETERS, count=count)


def precision(network: nn.Module) -> tuple[CheckResult, ...]:
    """Make a network of another precision float32, and return a note of that."""
    others = {p.dtype for p in network.parameters() if p.is_floating_point() and p.dtype != torch.float32}
    network.float()
    if not others:
        return ()
    words = "Its numbers are {kinds}: they are made float32."
    kinds = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in others))
    return (CheckResult("precision", "note", words, {"kinds": kinds}),)


def step(subject: Subject) -> tuple[float, CheckResult]:
    """Return the seconds of computing that a forward and a backward pass take for one image, which do not
    depend on what else the machine does, and what is to be said of them."""
    classifier, images = subject.classifier(), subject.images()[:1]
    seconds: list[float] = []
    computing: list[float] = []
    megabytes = 0.0
    while len(seconds) < ROUNDS and sum(seconds) < ENOUGH:
        begun, busy = time.perf_counter(), time.process_time()
        megabytes = _step(classifier, images) / 2**20
        seconds.append(time.perf_counter() - begun)
        computing.append(time.process_time() - busy)
    median = statistics.median(seconds)
    words = "A step of an attack takes {seconds} s for an image on the CPU and keeps {megabytes} MB."
    if median > SLOW:
        words = "It is slow: a step takes {seconds} s for an image on the CPU and keeps {megabytes} MB."
    facts = {"seconds": round(median, 3), "megabytes": round(megabytes, 1)}
    return min(computing), CheckResult("cost", "note" if median > SLOW else "fine", words, facts)


def _step(classifier: nn.Module, images: Tensor) -> int:
    """Take a step, and return the bytes that the forward pass keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = images.clone().requires_grad_()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        score = classifier(x).max()
    if score.requires_grad:
        with suppress(NotImplementedError, RuntimeError):  # the check of the gradient says what is wrong
            torch.autograd.grad(score, x, allow_unused=True)
    own = {
        tensor.untyped_storage().data_ptr() for tensor in (*classifier.parameters(), *classifier.buffers())
    }
    return sum(size for place, size in sizes.items() if place not in own)
