"""What a room's pages are sent, as plain data for JSON."""

from __future__ import annotations

from typing import Any

import attacks
import models
from components.i18n.text import named, say_in
from components.rooms import challenges
from engine.images.sources import samples
from engine.interface import EngineInterface
from engine.rooms.records import Allowed, Member, Room
from engine.rooms.rooms import Rooms
from engine.run import Run
from errors import UnknownName

SHOWN_RUNS = 10
"""Of a member's own runs, the newest."""


def room(room: Room, language: str) -> dict[str, Any]:
    """Return what every member may know of a room."""
    return {
        "code": room.code,
        "title": room.title,
        "frozen": room.frozen,
        "judging": room.judging,
        "question": room.question,
        "broadcast": room.broadcast
        and {
            "number": room.broadcast.number,
            "query": dict(room.broadcast.query),
            "words": room.broadcast.words,
        },
        "allowed": allowed(room.allowed, language),
        "challenges": challenges.listed(room, language),
    }


def allowed(allowed: Allowed, language: str) -> dict[str, Any]:
    """Return what a room allows, by name and by what it is called."""
    pictures = [s for s in samples().values() if not allowed.images or s.name in allowed.images]
    return {
        "models": [{"name": card.name, "title": card.title} for card in map(models.card, allowed.models)],
        "attacks": [
            {"name": name, "title": say_in(language, attacks.get(name).card.title)}
            for name in allowed.attacks
        ],
        "images": [
            {"name": s.name, "label": say_in(language, s.label), "group": s.group, "channels": s.channels}
            for s in pictures
        ],
        "epsilon": allowed.epsilon,
        "steps": allowed.steps,
        "camera": allowed.camera,
        "uploads": allowed.uploads,
    }


def member(member: Member) -> dict[str, Any]:
    """Return what may be known of a member."""
    return {"id": member.id, "name": member.name, "number": member.number}


def member_state(
    engine: EngineInterface, rooms: Rooms, where: Room, who: Member, language: str
) -> dict[str, Any]:
    """Return all that a member's page shows at first."""
    own = rooms.runs(where.code, who.id)[-SHOWN_RUNS:]
    shown = []
    for noted in reversed(own):
        try:
            shown.append(run(engine.run(noted.run), language) | {"number": noted.number})
        except UnknownName:  # it is no longer in the database
            continue
    return {"room": room(where, language), "member": member(who), "runs": shown}


def run(run: Run, language: str) -> dict[str, Any]:
    """Return the facts of a run that a list shows."""
    aim, last = run.recipe.target, len(run) - 1
    top = run.top(last, 1)[0] if last >= 0 else None
    return {
        "run": run.id,
        "model": run.recipe.model,
        "image": run.recipe.image,
        "attack": run.recipe.attack,
        "original": named(run.labels[run.original], language),
        "target": None if aim is None else named(run.labels[aim], language),
        "status": run.status,
        "over": run.over,
        "count": len(run),
        "total": run.total,
        "label": None if top is None else named(top.label, language),
        "probability": None if top is None else round(top.probability, 4),
        "fooled": last >= 0 and run.succeeded(last),
    }
