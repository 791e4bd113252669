"""Which normalisation a network seems to have been trained with.

Wrong preprocessing is silent: EfficientNet-Lite0 falls from 79 to 67 % with ImageNet's mean and deviation,
but still names clear photos rightly. So common normalisations are compared on the photos that ship, as they
are and turned, brightened and made coarse, which is harder, and by the network's own statistics (`evidence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.admission.evidence import (
    LEAST,
    VIEWS,
    Evidence,
    Normalisation,
    Photos,
    measured,
    numbers_text,
    others,
    own_normalisation,
    photos_for,
)
from engine.admission.subject import Report, Subject
from models.added.record import CheckResult, Plain

ENOUGH_PHOTOS = 8
"""Fewer photos that show a class of the network give no verdict by names."""
KNOWN = 0.25
"""A network that names a smaller share of the photos rightly does not know them."""
CLEAR = 2.0
"""So many standard errors, over photos, is a difference of log-probabilities clear."""
GOOD_FIT, WORSE, FAR = 0.25, 4.0, 0.2
"""Divergence of a good fit; another is bad where it is greater by this factor and more than this apart."""
BEHIND = 0.5
"""Nats of log-probability behind the own up to which another normalisation is looked at closely."""
BUDGET = 8.0
"""Seconds of computing forward passes that the closer look may take."""
SURE, SURER = 0.5, 0.1
"""Mean greatest probability of a network that is sure, and by how much more another is clearly surer."""


def normalisation(
    subject: Subject, stated: bool, seconds: float, report: Report
) -> tuple[Subject, tuple[CheckResult, ...]]:
    """Return what speaks for and against the subject's normalisation, and the subject: where nobody
    ``stated`` one, with that which it seems to have been trained with. ``seconds``: of a forward pass."""
    own = own_normalisation(subject.takes)
    if subject.takes.channels != 3:
        return subject, tuple(_grey(stated))
    photos, evidence = photos_for(subject), []
    for one in (own, *others(own)):
        report(stage="normalisation")
        evidence.append(measured(subject, one, photos))
    if len(photos.classes) >= ENOUGH_PHOTOS:
        evidence = _closer(subject, evidence, photos, seconds, report)
    rival = _rival(evidence)
    results = [*_assumption(own, rival, stated), *_verdicts(evidence, rival, photos, stated)]
    if rival and not stated:
        subject = replace(subject, takes=rival.normalisation.applied(subject.takes))
    return subject, (*results, *_order(evidence[0], rival, photos))


def _closer(
    subject: Subject, evidence: list[Evidence], photos: Photos, seconds: float, report: Report
) -> list[Evidence]:
    """Return the evidence, the own first, with more views where another normalisation may be as good."""
    own, *rest = evidence
    close = max(rest, key=lambda one: one.likely)
    fits = [one for one in rest if one is not close and _fits_better(one, own)]
    chosen = [own, *([close] if close.likely > own.likely - BEHIND else []), *fits[:1]]
    known = max(one.named for one in evidence) >= KNOWN * len(photos.classes)
    passes = len(chosen) * len(VIEWS) * len(photos.classes)
    if not known or len(chosen) == 1 or passes * seconds > BUDGET:
        return evidence
    results = []
    for one in chosen:
        report(stage="normalisation")
        more = measured(subject, one.normalisation, photos, VIEWS)
        results.append(one.joined(more, len(VIEWS)))
    return results


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
    return bool(difference.mean() > CLEAR * max(error, LEAST))


def _rival(evidence: Sequence[Evidence]) -> Evidence | None:
    """Return the evidence for the normalisation that the network seems to have been trained with, if it is
    not the own, which comes first."""
    own, *others = evidence
    by_fit = [one for one in others if _fits_better(one, own) and one.named >= 0.8 * own.named]
    by_names = [one for one in others if _names_better(one, own) and not _fits_better(own, one)]
    if by_fit:
        return min(by_fit, key=lambda one: (not _named_as_rgb(one, by_fit), one.fit or 0.0))
    return max(by_names, key=lambda one: one.likely, default=None)


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
        words = "Nobody says how images are normalised: {name} is taken, as it seems to be trained with that."
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
    best = max(evidence, key=lambda one: one.named / len(one.right))
    if best.named < KNOWN * len(best.right):
        words = (
            "No verdict on the normalisation by names: of {pictures} photos it names {named} rightly at "
            "best, with any of {tried} normalisations."
        )
        facts = {"pictures": len(best.right), "named": best.named, "tried": len(evidence)}
        return CheckResult("normalisation", "note", words, facts)
    if rival is None:
        words = (
            "With {own} normalisation it names {named} of {pictures} pictures rightly; no other does "
            "clearly better."
        )
        return CheckResult("normalisation", "fine", words, facts)
    facts |= {"rival": rival.normalisation.name, "better": rival.named}
    if rival.named <= own.named or not stated:
        words = (
            "With {own} normalisation it names {named} of {pictures} pictures rightly, with {rival} {better}."
        )
        return CheckResult("normalisation", "fine", words, facts)
    words = (
        "With the stated normalisation ({own}) it names {named} of {pictures} pictures rightly, with {rival} "
        "{better}: it seems to have been trained with {rival}. Add it with {options}."
    )
    return CheckResult("normalisation", "note", words, {**facts, "options": _options(rival.normalisation)})


def _options(how: Normalisation) -> str:
    text = f"--mean {numbers_text(how.mean)} --std {numbers_text(how.std)}"
    return text + " --bgr" if how.reversed_channels else text


def _by_statistics(evidence: Sequence[Evidence], rival: Evidence | None, stated: bool) -> CheckResult | None:
    """Return what the first batch normalisation says; None where it says nothing clear."""
    own = evidence[0]
    if own.fit is None:
        return None
    facts: dict[str, Plain] = {"own": own.normalisation.name, "fit": _rounded(own.fit)}
    if not rival or rival.fit is None or not _fits_better(rival, own):
        words = "Its first batch normalisation remembers images as {own} makes them (divergence {fit})."
        return CheckResult("statistics", "fine", words, facts) if own.fit < GOOD_FIT else None
    facts |= {"rival": rival.normalisation.name, "other": _rounded(rival.fit)}
    words = (
        "Its first batch normalisation remembers images as {rival} makes them (divergence {other}), not as "
        "{own} does ({fit})."
    )
    if not stated:
        return CheckResult("statistics", "fine", words, facts)
    words = (
        "Its first batch normalisation remembers images as {rival} makes them (divergence {other}), not as "
        "the stated {own} does ({fit}): add it with {options}."
    )
    return CheckResult("statistics", "note", words, {**facts, "options": _options(rival.normalisation)})


def _rounded(divergence: float) -> float:
    return float(f"{divergence:.2g}")


def _by_confidence(evidence: Sequence[Evidence], photos: Photos) -> CheckResult:
    """Return the weak sign that is left without classes or statistics."""
    own, surest = evidence[0], max(evidence, key=lambda one: one.confidence)
    facts: dict[str, Plain] = {"photos": len(photos.classes), "own": own.normalisation.name}
    facts["confidence"] = f"{own.confidence:.0%}"
    if surest.confidence < own.confidence + SURER:
        words = (
            "No verdict on the normalisation: the shelf has photos of {photos} of its classes. With {own} it "
            "is sure of {confidence} on average, with no other clearly surer; that is a weak sign."
        )
        return CheckResult("normalisation", "fine", words, facts)
    words = (
        "No verdict on the normalisation: the shelf has photos of {photos} of its classes. With {own} it is "
        "sure of {confidence} on average, with {rival} of {most}, the most; that is a weak sign."
    )
    facts["rival"] = surest.normalisation.name
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
        "It is sure of its answers ({confidence} on average, {distinct} classes for {photos} photos) and "
        "names hardly any rightly: its classes seem to be in another order than these labels."
    )
    facts: dict[str, Plain] = {"confidence": f"{used.confidence:.0%}", "distinct": used.distinct}
    return [CheckResult("labels", "note", words, {**facts, "photos": count})]
