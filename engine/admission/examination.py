"""What is checked of a network before it is kept, one theme after another."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from torch import nn

from engine.admission import class_names, cost, gradients, inputs, normalisation, outputs, stability
from engine.admission.subject import Report, Subject, reason
from errors import BadNetwork, FoolscopeError
from models.added.record import CheckResult, Facts, InputFormat, OutputFormat

log = logging.getLogger("foolscope")


@dataclass(frozen=True)
class Examination:
    """What came out: what the network takes and gives, what its classes are called (without a background),
    and each check."""

    takes: InputFormat
    gives: OutputFormat
    labels: tuple[str, ...]
    results: tuple[CheckResult, ...]


def examine(network: nn.Module, facts: Facts, report: Report = lambda **line: None) -> Examination:
    """Check a network on the CPU, of which its source and the person say ``facts``. ``report`` is called with
    ``stage=`` and the name of a check before it begins.

    The network is put into evaluation mode and made float32. Raises `errors.BadNetwork` with a sentence when
    it cannot be used.
    """
    try:
        return _examination(network, facts, report)
    except FoolscopeError:
        raise
    except Exception as error:  # what a network's own code raises is its own
        log.warning("a network failed while it was checked", exc_info=True)
        words = "The network fails while it is checked ({reason})."
        raise BadNetwork(words, reason=reason(error)) from error


def _examination(network: nn.Module, facts: Facts, report: Report) -> Examination:
    report(stage="parameters")
    cost.check_parameters(network)
    network.eval()
    for parameter in network.parameters():  # TorchScript knows no requires_grad_
        parameter.requires_grad_(False)
    results = [*cost.precision(network)]
    subject, understood = _understood(network, facts, report)
    results += understood
    report(stage="evaluation")
    results += stability.evaluation(subject)
    report(stage="batch")
    subject, together = stability.batch(subject)
    report(stage="layout")
    subject, layout = stability.loading(subject)
    report(stage="cost")
    seconds, step = cost.step(subject)
    stated = facts.mean is not None and facts.std is not None
    subject, normalised = normalisation.normalisation(subject, stated, seconds / 2, report)
    report(stage="gradient")
    results += [together, *layout, step, *normalised, *gradients.gradient(subject, seconds)]
    report(stage="device")
    results.append(gradients.devices(subject))
    return Examination(subject.takes, subject.gives, subject.labels, tuple(results))


def _understood(network: nn.Module, facts: Facts, report: Report) -> tuple[Subject, list[CheckResult]]:
    """Return the network with what it takes and gives, for which classes."""
    report(stage="input")
    takes, taken = inputs.input_format(network, facts)
    report(stage="outputs")
    given = outputs.outputs(network, takes, facts.labels)
    labels, named = class_names.named(facts.labels, given.classes, given.gives.background)
    return Subject(network, given.takes, given.gives, labels), [*taken, *given.results, named]
