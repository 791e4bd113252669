"""The addresses of rooms; what serves them brings torch, and is imported by the first request."""

from __future__ import annotations

import importlib

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.access import Handler, base, refusing

MODULES = "app.rooms."


def routes() -> list[BaseRoute]:
    """Return the routes of rooms: pages first, then what members and teachers ask."""
    at = f"{base()}/rooms"
    room = f"{at}/{{code}}"
    return [
        Route(f"{at}", _later("pages", "join")),
        Route(f"{at}", _later("teaching", "open_room"), methods=["POST"]),
        Route(f"{room}", _later("pages", "student")),
        Route(f"{room}/wall", _later("pages", "wall")),
        Route(f"{room}/join", _later("joining", "join"), methods=["POST"]),
        Route(f"{room}/me", _later("joining", "me")),
        Route(f"{room}/classes", _later("joining", "classes")),
        Route(f"{room}/uploads", _later("running", "upload"), methods=["POST"]),
        Route(f"{room}/runs", _later("running", "start"), methods=["POST"]),
        Route(f"{room}/teacher", _later("teaching", "change"), methods=["POST"]),
        # challenges, and what people see
        Route(f"{room}/challenges", _later("submitting", "challenges")),
        Route(f"{room}/challenges", _later("submitting", "set_challenges"), methods=["POST"]),
        Route(
            f"{room}/challenges/{{challenge}}/submissions", _later("submitting", "hand_in"), methods=["POST"]
        ),
        Route(f"{room}/vote", _later("judging", "next_picture")),
        Route(f"{room}/pictures/{{picture}}.png", _later("judging", "picture")),
        Route(f"{room}/votes", _later("judging", "vote"), methods=["POST"]),
        WebSocketRoute(f"{room}/live", live),
    ]


async def live(socket: WebSocket) -> None:
    """Tell a member or a wall what changes in a room."""
    module = await anyio.to_thread.run_sync(importlib.import_module, f"{MODULES}live")
    await module.live(socket)


def _later(module: str, name: str) -> Handler:
    """Return the handler called ``name`` of a module beside this one."""

    async def handle(request: Request) -> Response:
        there = await anyio.to_thread.run_sync(importlib.import_module, f"{MODULES}{module}")
        answer: Response = await getattr(there, name)(request)
        return answer

    return refusing(handle)
