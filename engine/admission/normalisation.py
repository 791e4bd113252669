"""Which normalisation a network seems to have been trained with, tried on the photos that ship.

Wrong preprocessing is silent: EfficientNet-Lite0 falls from 79 to 67 % with ImageNet's mean and deviation, but
still names clear photos rightly. Two measures are therefore taken. By names: how many pictures it names
rightly, and how probable it holds the right class, for photos as they are and turned, brightened and made
coarse, which are harder. By statistics: how near the inputs of its first batch normalisation are to the mean
and variance that this layer remembers from training, as the median over channels of the Kullback-Leibler
divergence between two normal distributions; that needs no classes, and tells scales apart that names do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_pre_hook

from engine.admission.subject import Report, Subject, in_batches
from engine.images.sources import samples
from models.added.record import CheckResult, InputFormat, Plain

ENOUGH_PHOTOS = 8
"""Fewer photos that show a class of the network give no verdict by names."""
KNOWN = 0.25
"""A network that names a smaller share of the photos rightly does not know them."""
CLEAR = 2.5
"""So many standard errors, over photos, is a difference of log-probabilities clear."""
GOOD_FIT, WORSE, FAR = 0.25, 4.0, 0.2
"""Divergence of a good fit; another is bad where it is greater by this factor and more than this apart."""
ALIKE = 0.03
"""Normalisations whose results differ by less, in terms of their range, are one."""
CONTENDERS = 3
BEHIND = 1.0
"""Nats of log-probability behind the best up to which a normalisation is looked at closely."""
BUDGET = 5.0
"""Seconds of forward passes that the closer look may take."""
SURE = 0.5
LEAST = 1e-12


class Normalisation(NamedTuple):
    """A common way to normalise; ``mean`` and ``std`` are in the order in which the network takes channels."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reversed_channels: bool = False

    def applied(self, takes: InputFormat) -> InputFormat:
        """Return the format with this normalisation."""
        return replace(takes, mean=self.mean, std=self.std, reversed_channels=self.reversed_channels)

    def like(self, other: Normalisation) -> bool:
        """Return whether both make the same of an image, to what training would not notice."""
        if self.reversed_channels != other.reversed_channels or len(self.mean) != len(other.mean):
            return False
        numbers = zip(self.mean, self.std, other.mean, other.std, strict=True)
        return all(abs((x - m) / s - (x - n) / d) * s < ALIKE for m, s, n, d in numbers for x in (0.0, 1.0))


CAFFE = (103.939 / 255, 116.779 / 255, 123.68 / 255)
KNOWN_ONES = (
    Normalisation("ImageNet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Normalisation("[-1, 1]", (0.5,) * 3, (0.5,) * 3),
    Normalisation("(255x - 127) / 128", (127 / 255,) * 3, (128 / 255,) * 3),
    Normalisation("[0, 1]", (0.0,) * 3, (1.0,) * 3),
    Normalisation("[0, 255]", (0.0,) * 3, (1 / 255,) * 3),
    Normalisation("Caffe (BGR)", CAFFE, (1 / 255,) * 3, True),
    Normalisation("ImageNet (BGR)", (0.406, 0.456, 0.485), (0.225, 0.224, 0.229), True),
)


@dataclass(frozen=True)
class Evidence:
    """How a network does with a normalisation.

    ``right``: whether each picture ``(views * photos,)`` is named rightly. ``log_probabilities`` ``(photos,)``
    of the right class, the mean over views; both empty where the photos show none of its classes.
    ``confidence``: mean of the greatest probability. ``distinct``: how many classes are answered. ``fit``: the
    divergence from what the first batch normalisation remembers; None without one.
    """

    normalisation: Normalisation
    right: Tensor
    log_probabilities: Tensor
    confidence: float
    distinct: int
    fit: float | None

    @property
    def named(self) -> int:
        """Return how many pictures are named rightly."""
        return int(self.right.sum())


def normalisation(
    subject: Subject, stated: bool, seconds: float, report: Report
) -> tuple[Subject, tuple[CheckResult, ...]]:
    """Return what speaks for and against the subject's normalisation, and the subject: where nobody
    ``stated`` one, with that which it seems to have been trained with. ``seconds``: of a forward pass."""
    own = _own(subject.takes)
    if subject.takes.channels != 3:
        return subject, tuple(_grey(stated))
    photos = _photos(subject)
    evidence = [_evidence(subject, one, photos, report) for one in (own, *_others(own))]
    if len(photos.classes) >= ENOUGH_PHOTOS:
        evidence = _closer(subject, evidence, photos, seconds, report)
    rival = _rival(evidence)
    results = [*_assumption(own, rival, stated), *_verdicts(evidence, rival, photos, stated)]
    if rival and not stated:
        subject = replace(subject, takes=rival.normalisation.applied(subject.takes))
    return subject, (*results, *_order(evidence[0], rival, photos))


@dataclass(frozen=True)
class Photos:
    """The shelf's photos ``(n, c, size, size)`` in [0, 1]; ``classes``: of the first ones, the right classes."""

    images: Tensor
    classes: tuple[tuple[int, ...], ...]

    @property
    def shown(self) -> Tensor:
        """Return those that show a class of the network."""
        return self.images[: len(self.classes)]


def _photos(subject: Subject) -> Photos:
    """Return the photos, those first that show classes of the network."""
    index = {label.casefold(): i for i, label in enumerate(subject.labels)}
    kinds = {
        sample.name: tuple(index[word.casefold()] for word in sample.shows if word.casefold() in index)
        for sample in samples().values()
        if sample.file and sample.channels == 3
    }
    names = sorted(kinds, key=lambda name: not kinds[name])
    return Photos(subject.images(names), tuple(kinds[name] for name in names if kinds[name]))


def _own(takes: InputFormat) -> Normalisation:
    """Return the subject's own normalisation, under its common name if it has one."""
    own = Normalisation("", takes.mean, takes.std, takes.reversed_channels)
    known = next((one.name for one in KNOWN_ONES if one.like(own)), "")
    numbers = "mean {}, std {}".format(*(_numbers(part) for part in (own.mean, own.std)))
    return own._replace(name=known or numbers)


def _others(own: Normalisation) -> list[Normalisation]:
    """Return the common normalisations, those left out that are like the own one or like one before."""
    others: list[Normalisation] = []
    for one in KNOWN_ONES:
        if not any(one.like(other) for other in (own, *others)):
            others.append(one)
    return others


def _evidence(
    subject: Subject,
    one: Normalisation,
    photos: Photos,
    report: Report,
    views: Sequence[Callable[[Tensor], Tensor]] = (torch.clone,),
) -> Evidence:
    report(stage="normalisation")
    other = replace(subject, takes=one.applied(subject.takes))
    classifier = other.classifier()
    images = photos.shown if photos.classes else photos.images[:ENOUGH_PHOTOS]
    logs = torch.stack([in_batches(classifier, view(images)).log_softmax(1) for view in views])
    best = logs.argmax(2)
    right, likely = torch.zeros(0), torch.zeros(0)
    if photos.classes:
        right = torch.stack(
            [
                torch.tensor([int(i) in kinds for i, kinds in zip(row, photos.classes, strict=True)])
                for row in best
            ]
        )
        likely = torch.stack(
            [logs[:, i, list(kinds)].logsumexp(1).mean() for i, kinds in enumerate(photos.classes)]
        )
    confidence = float(logs[0].max(1).values.exp().mean())
    distinct = len(best[0].unique())
    return Evidence(one, right.flatten(), likely, confidence, distinct, _fit(classifier, photos.images))


class _Reached(Exception):  # noqa: N818
    """The first batch normalisation was reached; the rest need not be computed."""


def _fit(classifier: nn.Module, images: Tensor) -> float | None:
    """Return how far the inputs of the first batch normalisation are from what it remembers; None without
    one, or when it never learnt."""
    if not any(map(_learnt, classifier.modules())):
        return None
    parts: list[Tensor] = []
    norms: list[nn.BatchNorm2d] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.BatchNorm2d):
            parts.append(inputs[0].detach())
            norms.append(module)
            raise _Reached

    hook = register_module_forward_pre_hook(note)
    try:
        for part in images.split(1):
            with torch.no_grad():
                try:
                    classifier(part)
                except _Reached:
                    continue
                return None
    finally:
        hook.remove()
    return _divergence(torch.cat(parts), norms[0])


def _learnt(module: nn.Module) -> bool:
    """Return whether a module is a batch normalisation whose statistics are not those it began with."""
    if not isinstance(module, nn.BatchNorm2d) or module.running_var is None or module.running_mean is None:
        return False
    return bool(module.running_mean.any()) and not bool((module.running_var == 1).all())


def _divergence(inputs: Tensor, norm: nn.BatchNorm2d) -> float | None:
    if not _learnt(norm) or norm.running_var is None or norm.running_mean is None:
        return None
    used = norm.running_var > 1e-4 * norm.running_var.median()
    mean, variance = inputs.mean((0, 2, 3))[used], inputs.var((0, 2, 3))[used].clamp_min(LEAST)
    expected, spread = norm.running_mean[used], norm.running_var[used]
    ratio = variance / spread
    divergence = 0.5 * (ratio + (mean - expected) ** 2 / spread - 1 - ratio.log())
    return float(divergence.median()) if len(divergence) else None


VIEWS: tuple[Callable[[Tensor], Tensor], ...] = (
    torch.clone,
    lambda x: x.transpose(2, 3),
    lambda x: 0.4 * x + 0.6,
    lambda x: functional.interpolate(
        functional.interpolate(x, scale_factor=0.25, mode="area"), size=x.shape[-2:], mode="bilinear"
    ),
)
"""Photos as they are, turned, bright, coarse."""


def _closer(
    subject: Subject, evidence: list[Evidence], photos: Photos, seconds: float, report: Report
) -> list[Evidence]:
    """Return the evidence, the own first, with more views where another normalisation may be as good."""
    best = max(_likely(one) for one in evidence)
    others = [one for one in evidence[1:] if _likely(one) > best - BEHIND]
    others = sorted(others, key=_likely, reverse=True)[: CONTENDERS - 1]
    fits = [one for one in evidence[1:] if _fits_better(one, evidence[0]) and one not in others]
    chosen = [evidence[0], *others, *fits[:1]]
    known = max(one.named for one in evidence) >= KNOWN * len(photos.classes)
    passes = len(chosen) * len(VIEWS) * len(photos.classes)
    if not known or len(chosen) == 1 or passes * seconds > BUDGET:
        return evidence
    return [_evidence(subject, one.normalisation, photos, report, VIEWS) for one in chosen]


def _likely(evidence: Evidence) -> float:
    """Return the mean log-probability of the right class; without classes 0."""
    return float(evidence.log_probabilities.mean()) if len(evidence.log_probabilities) else 0.0


def _fits_better(one: Evidence, other: Evidence) -> bool:
    """Return whether the statistics speak for the one normalisation against the other."""
    if one.fit is None or other.fit is None:
        return False
    return one.fit < GOOD_FIT and other.fit > WORSE * one.fit + FAR


def _names_better(one: Evidence, other: Evidence) -> bool:
    """Return whether it names more pictures with the one, and their classes are clearly more probable."""
    difference = one.log_probabilities - other.log_probabilities
    if not len(difference) or one.named <= other.named or one.named < KNOWN * len(one.right):
        return False
    error = float(difference.std()) / len(difference) ** 0.5
    return float(difference.mean()) > CLEAR * max(error, LEAST)


def _rival(evidence: Sequence[Evidence]) -> Evidence | None:
    """Return the evidence for the normalisation that the network seems to have been trained with, if it is
    not the own, which comes first."""
    own, *others = evidence
    by_fit = [one for one in others if _fits_better(one, own) and one.named >= 0.8 * own.named]
    by_names = [one for one in others if _names_better(one, own) and not _fits_better(own, one)]
    if by_fit:
        return min(by_fit, key=lambda one: (not _named_as_rgb(one, by_fit), one.fit or 0.0))
    return max(by_names, key=_likely, default=None)


def _named_as_rgb(one: Evidence, others: Sequence[Evidence]) -> bool:
    """Return whether it names at least as many as the others: statistics tell the order of channels badly."""
    return one.named >= max(other.named for other in others)


def _grey(stated: bool) -> list[CheckResult]:
    if not stated:
        words = "Nobody says how images are normalised: [0, 1] is assumed."
        return [CheckResult("normalisation", "note", words)]
    words = "No verdict on the normalisation: it is tried with photos in colour only."
    return [CheckResult("normalisation", "fine", words)]


def _assumption(own: Normalisation, rival: Evidence | None, stated: bool) -> list[CheckResult]:
    if stated:
        return []
    name = rival.normalisation.name if rival else own.name
    words = "Nobody says how images are normalised: {name} is assumed."
    if rival:
        words = "Nobody says how images are normalised: {name} is taken, with which it seems to have been trained."
    return [CheckResult("normalisation", "note", words, {"name": name})]


def _verdicts(
    evidence: Sequence[Evidence], rival: Evidence | None, photos: Photos, stated: bool
) -> list[CheckResult]:
    """Return what names and statistics say of the own normalisation and of the rival."""
    results = []
    if len(photos.classes) >= ENOUGH_PHOTOS:
        results.append(_by_names(evidence, rival, stated))
    elif evidence[0].fit is None:
        results.append(_by_confidence(evidence, photos))
    statistics = _by_statistics(evidence, rival, stated)
    return [*results, statistics] if statistics else results


def _by_names(evidence: Sequence[Evidence], rival: Evidence | None, stated: bool) -> CheckResult:
    own, pictures = evidence[0], len(evidence[0].right)
    facts: dict[str, Plain] = {"own": own.normalisation.name, "named": own.named, "pictures": pictures}
    most = max(one.named for one in evidence)
    if most < KNOWN * pictures:
        words = (
            "No verdict on the normalisation by names: of {pictures} photos it names {most} rightly at best, with "
            "any of {tried} normalisations."
        )
        facts = {"pictures": pictures, "most": most, "tried": len(evidence)}
        return CheckResult("normalisation", "note", words, facts)
    if rival is None:
        words = "With the normalisation {own} it names {named} of {pictures} pictures rightly; no other does clearly better."
        return CheckResult("normalisation", "fine", words, facts)
    return _trained_otherwise(rival, facts, stated)


def _trained_otherwise(rival: Evidence, facts: Mapping[str, Plain], stated: bool) -> CheckResult:
    how = rival.normalisation
    words = (
        "With the normalisation {own} it names {named} of {pictures} pictures rightly, with {rival} {better}."
    )
    if stated:
        words = (
            "With the stated normalisation ({own}) it names {named} of {pictures} pictures rightly, with {rival} "
            "{better}: it seems to have been trained with {rival}. Add it with {options}."
        )
    more = {"rival": how.name, "better": rival.named, "options": _options(how)}
    return CheckResult("normalisation", "note" if stated else "fine", words, {**facts, **more})


def _options(how: Normalisation) -> str:
    text = f"--mean {_numbers(how.mean)} --std {_numbers(how.std)}"
    return text + " --bgr" if how.reversed_channels else text


def _numbers(values: Sequence[float]) -> str:
    return ",".join(f"{value:.5g}" for value in values)


def _by_statistics(evidence: Sequence[Evidence], rival: Evidence | None, stated: bool) -> CheckResult | None:
    """Return what the first batch normalisation says; None where it says nothing clear."""
    own = evidence[0]
    if own.fit is None:
        return None
    facts: dict[str, Plain] = {"own": own.normalisation.name, "fit": float(f"{own.fit:.2g}")}
    if rival and rival.fit is not None and _fits_better(rival, own):
        how = rival.normalisation
        words = (
            "Its first batch normalisation remembers images as {rival} makes them (divergence {other}), not as "
            "{own} does ({fit}): add it with {options}."
        )
        facts |= {"rival": how.name, "other": float(f"{rival.fit:.2g}"), "options": _options(how)}
        return CheckResult("statistics", "note" if stated else "fine", words, facts)
    if own.fit < GOOD_FIT:
        words = "Its first batch normalisation remembers images as {own} makes them (divergence {fit})."
        return CheckResult("statistics", "fine", words, facts)
    return None


def _by_confidence(evidence: Sequence[Evidence], photos: Photos) -> CheckResult:
    """Return the weak sign that is left without classes or statistics."""
    own, surest = evidence[0], max(evidence, key=lambda one: one.confidence)
    words = (
        "No verdict on the normalisation: the shelf has photos of {photos} of its classes. With {own} it is sure "
        "of {confidence} on average, with {rival} of {most}, the most; that is a weak sign."
    )
    facts: dict[str, Plain] = {"photos": len(photos.classes), "own": own.normalisation.name}
    facts |= {"confidence": f"{own.confidence:.0%}", "rival": surest.normalisation.name}
    return CheckResult("normalisation", "note", words, {**facts, "most": f"{surest.confidence:.0%}"})


def _order(own: Evidence, rival: Evidence | None, photos: Photos) -> list[CheckResult]:
    """Return a note where a network is sure of many different answers that are wrong: its classes are likely
    to be in another order than its labels."""
    used, count = rival or own, len(photos.classes)
    if count < ENOUGH_PHOTOS or used.named >= KNOWN * len(used.right):
        return []
    if used.confidence < SURE or used.distinct < count / 2:
        return []
    words = (
        "It is sure of its answers ({confidence} on average, {distinct} classes for {photos} photos) and names "
        "hardly any rightly: its classes seem to be in another order than these labels."
    )
    facts: dict[str, Plain] = {"confidence": f"{used.confidence:.0%}", "distinct": used.distinct}
    return [CheckResult("labels", "note", words, {**facts, "photos": count})]
