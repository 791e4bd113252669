"""Whether the same image always gets the same answer: alone, among others, and as it is run here."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

import models
from engine.admission.subject import Subject, reason, relative_change
from errors import BadNetwork
from models.added.record import CheckResult, Plain

SAME = 1e-4
"""Relative changes of an answer below it are rounding."""
SHOWN = 4
"""So many names of modules are said at most."""
RANDOM = nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase, nn.RReLU


def evaluation(subject: Subject) -> Iterator[CheckResult]:
    """Yield whether two answers to the same images are the same, and which modules behave as in training."""
    classifier, images = subject.classifier(), subject.images()
    training = [
        name
        for name, module in subject.network.named_modules()
        if module.training and isinstance(module, RANDOM)
    ]
    if training:
        words = "{count} of its modules stay in training mode when it is evaluated: {names}."
        facts: dict[str, Plain] = {"count": len(training), "names": ", ".join(training[:SHOWN])}
        yield CheckResult("evaluation", "note", words, facts)
    with torch.no_grad():
        change = relative_change(classifier(images), classifier(images))
    if change <= SAME:
        yield CheckResult("evaluation", "fine", "The same images get the same answer twice.")
        return
    words = (
        "It is randomised: two answers to the same images differ by {change} of their spread. The first "
        "module that differs: {module}. Attacks follow one draw at a time."
    )
    facts = {"change": round(change, 4), "module": _first_difference(subject.network, classifier, images)}
    yield CheckResult("evaluation", "note", words, facts)


def _sums(classifier: nn.Module, images: Tensor) -> list[tuple[nn.Module, float]]:
    """Return a sum of what every module gives for images, in the order in which they answer."""
    sums: list[tuple[nn.Module, float]] = []

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            sums.append((module, float(output.double().abs().sum())))

    hook = register_module_forward_hook(note)
    try:
        with torch.no_grad():
            classifier(images)
    finally:
        hook.remove()
    return sums


def _first_difference(network: nn.Module, classifier: nn.Module, images: Tensor) -> str:
    """Return the name and the kind of the first module that gives something else the second time."""
    names = {module: name for name, module in network.named_modules()}
    for (module, a), (_, b) in zip(_sums(classifier, images), _sums(classifier, images), strict=False):
        if abs(a - b) > SAME * SAME * abs(a):
            return f"{names.get(module, '')} ({type(module).__name__})".strip()
    return type(network).__name__


def batch(subject: Subject) -> tuple[Subject, CheckResult]:
    """Return whether an image's answer depends on those beside it; where it does, the subject is given its
    images one at a time."""
    classifier, images = subject.classifier(), subject.images()
    with torch.no_grad():
        together, again = classifier(images), classifier(images)
        alone = torch.cat([classifier(image) for image in images.split(1)])
    change, chance = relative_change(together, alone), relative_change(together, again)
    facts: dict[str, str | float] = {"change": round(change, 6)}
    if subject.takes.one_at_a_time or change <= max(SAME * 10, 3 * chance):
        words = "An image gets the same answer alone and among others (to {change} of the logits' spread)."
        return subject, CheckResult("batch", "fine", words, facts)
    words = (
        "Its answer to an image depends on the others in the batch (by {change} of the spread{modules}): "
        "images are given to it one at a time, which is slower."
    )
    facts["modules"] = "; " + names if (names := ", ".join(_without_statistics(subject.network))) else ""
    return subject.with_takes(one_at_a_time=True), CheckResult("batch", "note", words, facts)


def _without_statistics(network: nn.Module) -> list[str]:
    """Return the names of those modules that normalise by the batch even when they are evaluated."""
    norms = (
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and (module.running_mean is None or module.training)
    )
    return list(norms)[:SHOWN]


def loading(subject: Subject) -> tuple[Subject, tuple[CheckResult, ...]]:
    """Return the subject as it can be run here: where folding or another memory layout breaks it or changes
    its answers, as it is. Raises `errors.BadNetwork` when that does not help."""
    images, classifier = subject.images(), subject.classifier()
    with torch.no_grad():
        expected, again = classifier(images), classifier(images)
    allowed = max(SAME * 100, 3 * relative_change(expected, again))
    failure = _failure(subject, images, expected, allowed)
    if not failure:
        return subject, ()
    words = (
        "It is run as it is, a little slower: folding its batch norm or another memory layout breaks it "
        "({why})."
    )
    note = CheckResult("layout", "note", words, {"why": failure})
    subject = subject.with_takes(as_is=True)
    failure = _failure(subject, images, expected, allowed)
    if failure:
        raise BadNetwork("The network cannot be run here: {why}.", why=failure)
    return subject, (note,)


def _failure(subject: Subject, images: Tensor, expected: Tensor, allowed: float) -> str:
    """Return what goes wrong when the network is prepared as it is for attacks, "" for nothing."""
    classifier = subject.classifier()
    try:
        classifier.network = models.prepared(classifier.network)
        with torch.no_grad():
            change = relative_change(expected, classifier(images))
    except Exception as error:  # what a network's own code raises is its own
        return reason(error)
    finally:
        subject.network.to(memory_format=torch.contiguous_format)
    return "" if change <= allowed else f"{change:.2g}"
