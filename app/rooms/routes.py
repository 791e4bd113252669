"""The addresses of rooms; what serves them brings torch, and is imported by the first request."""

from __future__ import annotations

import importlib

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.access import Handler, base, refusing
from app.rooms.limits import LIMITER, address, asker

MODULES = "app.rooms."
BY_ADDRESS = ("open", "join")
"""Limits of those who have no token yet."""


def routes() -> list[BaseRoute]:
    """Return the routes of rooms: pages first, then what members and teachers ask."""
    at = f"{base()}/rooms"
    room = f"{at}/{{code}}"
    return [
        Route(f"{at}", _later("pages", "join")),
        Route(f"{at}", _later("teaching", "open_room", "open"), methods=["POST"]),
        Route(f"{room}", _later("pages", "student")),
        Route(f"{room}/wall", _later("pages", "wall")),
        Route(f"{room}/join", _later("joining", "join", "join"), methods=["POST"]),
        Route(f"{room}/me", _later("joining", "me")),
        Route(f"{room}/classes", _later("joining", "classes")),
        Route(f"{room}/seen", _later("joining", "seen")),
        Route(f"{room}/runs", _later("joining", "runs")),
        Route(f"{room}/uploads", _later("running", "upload", "upload"), methods=["POST"]),
        Route(f"{room}/runs", _later("running", "start", "run"), methods=["POST"]),
        Route(f"{room}/teacher", _later("teaching", "change", "teach"), methods=["POST"]),
        WebSocketRoute(f"{room}/live", live),
        *_challenges(room),
        *_bets(room),
        *_teachers(room),
    ]


def _teachers(room: str) -> list[BaseRoute]:
    return [
        Route(f"{room}/archive.zip", _later("teaching", "archive")),
        Route(f"{room}/members/{{member}}/remove", _later("teaching", "remove", "teach"), methods=["POST"]),
        Route(f"{room}/end", _later("teaching", "end", "teach"), methods=["POST"]),
    ]


def _challenges(room: str) -> list[BaseRoute]:
    submissions = f"{room}/challenges/{{challenge}}/submissions"
    return [
        Route(f"{room}/challenges", _later("submitting", "challenges")),
        Route(f"{room}/challenges", _later("submitting", "set_challenges", "teach"), methods=["POST"]),
        Route(submissions, _later("submitting", "hand_in", "submission"), methods=["POST"]),
        Route(f"{room}/vote", _later("judging", "next_picture")),
        Route(f"{room}/pictures/{{picture}}.png", _later("judging", "picture")),
        Route(f"{room}/votes", _later("judging", "vote", "vote"), methods=["POST"]),
    ]


def _bets(room: str) -> list[BaseRoute]:
    return [
        Route(f"{room}/bets", _later("betting", "bet", "bet"), methods=["POST"]),
        Route(f"{room}/bets", _later("betting", "own")),
        Route(f"{room}/questions", _later("betting", "questions")),
        Route(f"{room}/answers", _later("betting", "answered")),
        Route(f"{room}/reveal", _later("betting", "reveal", "teach"), methods=["POST"]),
    ]


async def live(socket: WebSocket) -> None:
    """Tell a member or a wall what changes in a room."""
    module = await anyio.to_thread.run_sync(importlib.import_module, f"{MODULES}live")
    await module.live(socket)


def _later(module: str, name: str, limit: str = "") -> Handler:
    """Return the handler called ``name`` of a module beside this one; ``limit``: which of `LIMITS` counts."""

    async def handle(request: Request) -> Response:
        if limit:
            LIMITER.take(limit, address(request) if limit in BY_ADDRESS else asker(request))
        there = await anyio.to_thread.run_sync(importlib.import_module, f"{MODULES}{module}")
        answer: Response = await getattr(there, name)(request)
        return answer

    return refusing(handle)
