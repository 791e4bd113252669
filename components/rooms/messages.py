"""What a room's pages are sent, as plain data for JSON."""

from __future__ import annotations

import base64
from typing import Any

import attacks
import models
from components.i18n.text import named, say_in
from components.lesson import questions
from components.rooms import challenges
from components.widgets.class_picker import FAVOURITES, MOST
from engine import links
from engine.base import EngineBase
from engine.images.sources import samples
from engine.recipe import Recipe
from engine.render import encode, to_image
from engine.rooms.records import Allowed, Member, Room
from engine.rooms.rooms import Rooms
from engine.run import Run
from errors import UnknownName
from models.labels import names

SHOWN_RUNS = 10
"""Of a member's own runs, the newest."""
SHOWN_UPLOADS = 4
"""Of a member's own pictures, the newest."""
OFFERED = ("epsilon", "step_size", "steps")
"""The settings of attacks that a member's page offers."""


def room(room: Room, language: str) -> dict[str, Any]:
    """Return what every member may know of a room."""
    return {
        "code": room.code,
        "title": room.title,
        "frozen": room.frozen,
        "judging": room.judging,
        "question": room.question,
        "asked": asked(room, language),
        "broadcast": room.broadcast
        and {
            "number": room.broadcast.number,
            "query": dict(room.broadcast.query),
            "words": room.broadcast.words,
        },
        "allowed": allowed(room.allowed, language),
        "challenges": challenges.listed(room, language),
    }


def asked(room: Room, language: str) -> dict[str, Any] | None:
    """Return the question that everybody is asked, None for none; ``right`` and ``why`` once the right answer
    is revealed, None and "" before."""
    if not room.question:
        return None
    try:
        question = questions.question(room.question, language)
    except UnknownName:  # the program has been updated, and this lesson has gone
        return None
    revealed = room.revealed.get(room.question)
    return {
        "question": room.question,
        "asks": questions.plain(question.asks),
        "answers": [questions.plain(answer) for answer in question.answers],
        "right": revealed and revealed.right,
        "why": questions.plain(question.because(revealed.facts)) if revealed else "",
    }


def allowed(allowed: Allowed, language: str) -> dict[str, Any]:
    """Return what a room allows, by name and by what it is called."""
    pictures = [s for s in samples().values() if not allowed.images or s.name in allowed.images]
    networks = map(models.card, allowed.models) if allowed.models else models.cards()
    return {
        "models": [{"name": card.name, "title": card.title, "channels": card.channels} for card in networks],
        "attacks": [attack(name, language) for name in allowed.attacks or attacks.registry()],
        "images": [
            {"name": s.name, "label": say_in(language, s.label), "group": s.group, "channels": s.channels}
            for s in pictures
        ],
        "epsilon": allowed.epsilon,
        "steps": allowed.steps,
        "camera": allowed.camera,
        "uploads": allowed.uploads,
    }


def attack(name: str, language: str) -> dict[str, Any]:
    """Return what a member's page offers of an attack: ``settings`` are those of `OFFERED` that it has, each
    with its default as an address writes it; ``level``: in levels of 255."""
    kind = attacks.get(name)
    return {
        "name": name,
        "title": say_in(language, kind.card.title),
        "summary": say_in(language, kind.card.summary),
        "settings": [
            {
                "name": s.name,
                "label": say_in(language, s.label),
                "usual": s.format(s.default),
                "level": s.unit == "level",
            }
            for s in kind.settings()
            if s.name in OFFERED
        ],
    }


def member(member: Member) -> dict[str, Any]:
    """Return what may be known of a member."""
    return {"id": member.id, "name": member.name, "number": member.number}


def member_state(engine: EngineBase, rooms: Rooms, where: Room, who: Member, language: str) -> dict[str, Any]:
    """Return all that a member's page shows at first."""
    return {
        "room": room(where, language),
        "member": member(who),
        "runs": own_runs(engine, rooms, where, who, language),
        "uploads": [name for name in rooms.uploads(who) if _is_here(engine, name)][-SHOWN_UPLOADS:],
    }


def _is_here(engine: EngineBase, upload: str) -> bool:
    """Say whether an upload can still be shown: it leaves after a day, and with the server."""
    try:
        engine.notes(upload)
    except UnknownName:
        return False
    return True


def own_runs(
    engine: EngineBase, rooms: Rooms, where: Room, who: Member, language: str
) -> list[dict[str, Any]]:
    """Return a member's newest runs, the newest first."""
    shown = []
    for noted in reversed(rooms.runs(where.code, who.id)[-SHOWN_RUNS:]):
        try:
            kept = engine.look_up(noted.run)
        except UnknownName:  # its picture or its network is no longer there
            continue
        if kept is None:  # it is no longer in the database
            continue
        facts = run(kept, language)
        shown.append(facts | {"number": noted.number, "broadcast": noted.broadcast})
    return shown


def seen(engine: EngineBase, model: str, image: str, language: str) -> dict[str, Any]:
    """Return what a network says of a picture, and the picture as the network sees it, as a data address."""
    best = engine.classify(model, image)[0]
    x = engine.preprocess(Recipe(model, image, links.DEFAULT.attack))
    jpeg = base64.b64encode(encode(to_image(x), "jpg")).decode()
    return {
        "label": named(best.label, language),
        "probability": round(best.probability, 4),
        "size": x.shape[-1],
        "picture": f"data:image/jpeg;base64,{jpeg}",
    }


def classes(model: str, language: str) -> dict[str, Any]:
    """Return what can be searched for: a network's classes by index, ``names`` in the reader's language,
    ``words`` that also find them, and the indices of ``favourites``."""
    labels = models.card(model).labels
    return {
        "labels": labels,
        "names": [named(label, language) for label in labels],
        "words": ["; ".join(_others(label)) for label in labels],
        "favourites": [labels.index(label) for label in FAVOURITES if label in labels][:MOST],
    }


def _others(label: str) -> tuple[str, ...]:
    called = names(label)
    return (called.chinese, *called.synonyms, *called.chinese_synonyms)


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
        "query": links.write(run.recipe),
        "status": run.status,
        "reason": run.reason,
        "over": run.over,
        "count": len(run),
        "total": run.total,
        "label": None if top is None else named(top.label, language),
        "probability": None if top is None else round(top.probability, 4),
        "fooled": last >= 0 and run.succeeded(last),
    }
