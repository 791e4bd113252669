"""A room's challenges, and what was handed in, as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attacks
from components.i18n.text import LABELS, named, say_in
from engine.links import ANYTHING
from engine.rooms.challenges import OFFERS, build
from engine.rooms.challenges.contract import Kind
from engine.rooms.competition import Submission, kind_of
from engine.rooms.ranking import Standing
from engine.rooms.records import Allowed, Challenge, Room
from engine.rooms.votes import Tally, Vote
from engine.sentences import Said

STEPS = (200, 100, 40, 20, 10)
"""Numbers of steps that a page offers."""
OF_ATTACKS = ("epsilon", "step_size", "steps")
WORDS = ("picture", "title")
"""The facts of a sentence that are phrases."""


def listed(room: Room, language: str) -> list[dict[str, Any]]:
    """Return what everybody may know of a room's challenges."""
    return [public(challenge, room, language) for challenge in room.challenges]


def public(challenge: Challenge, room: Room, language: str) -> dict[str, Any]:
    """Return what everybody may know of a challenge; ``query``: a link's, which sets a run up."""
    kind = kind_of(challenge)
    return {
        "id": challenge.id,
        "kind": challenge.kind,
        "title": say_in(language, challenge.title),
        "rule": told(kind.said(), language),
        "open": challenge.open,
        "query": query(kind, room.allowed),
    }


def query(kind: Kind, allowed: Allowed) -> dict[str, str]:
    """Return what sets up a run for a challenge, with the first suitable of the allowed attacks and no more
    steps than are allowed."""
    suitable = [attack for attack in kind.suits if not allowed.attacks or attack in allowed.attacks]
    target = kind.target_label or ANYTHING
    begun = {"model": kind.model, "image": kind.image, "target": target, **kind.begin()}
    for name in suitable[:1]:
        begun["attack"] = name
        attack = attacks.get(name)
        known = {setting.name for setting in attack.settings()}
        if "steps" in known and attack().updates() > allowed.steps:
            fitting = (steps for steps in STEPS if attack(**{"steps": steps}).updates() <= allowed.steps)
            begun["steps"] = str(next(fitting, STEPS[-1]))
        begun = {part: text for part, text in begun.items() if part in known or part not in OF_ATTACKS}
    return begun


def told(said: Said, language: str) -> str:
    """Return a sentence in ``language``: its labels and phrases too."""
    template, facts = said
    return say_in(language, template, **_translated(facts, language))


def _translated(facts: Mapping[str, str | int], language: str) -> dict[str, str | int]:
    shown = dict(facts)
    shown |= {name: named(str(fact), language) for name, fact in facts.items() if name in LABELS}
    return shown | {name: say_in(language, str(fact)) for name, fact in facts.items() if name in WORDS}


def offers(language: str) -> list[dict[str, str]]:
    """Return the ready-made challenges, with their rules in words."""
    return [
        {
            "name": offer.name,
            "title": say_in(language, offer.title),
            "rule": told(build(offer.kind, offer.settings).said(), language),
        }
        for offer in OFFERS.values()
    ]


def verdict(
    submission: Submission, challenge: Challenge, standing: Standing | None, language: str
) -> dict[str, Any]:
    """Return what a member is told of what it handed in; ``standing``: its own in the challenge now."""
    kind = kind_of(challenge)
    score = None if submission.score is None else told(kind.shown(submission.score), language)
    return {
        "counts": submission.counts,
        "sentence": told(submission.said, language),
        "number": submission.number,
        "score": score,
        "value": submission.score,
        "mine": None if standing is None else own(standing, kind, language),
    }


def own(standing: Standing, kind: Kind, language: str) -> dict[str, Any]:
    """Return how a member stands in a challenge."""
    return {
        "rank": standing.rank,
        "score": told(kind.shown(standing.score), language),
        "attempts": standing.attempts,
        "mark": mark(standing.tally),
        "votes": standing.tally.votes,
        "needed": standing.tally.needed,
    }


def mark(tally: Tally) -> str:
    """Return how people judged a picture that fools the network: "people", "nobody" or "waiting"."""
    if not tally.judged:
        return "waiting"
    return "nobody" if tally.seen else "people"


def answered(vote: Vote, judged: int, language: str) -> dict[str, Any]:
    """Return what somebody is told who has named a picture."""
    return {
        "right": vote.right,
        "true": named(vote.true, language),
        "says": named(vote.says, language),
        "judged": judged,
    }
