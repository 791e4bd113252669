"""What our sockets share: how many are open, by what they follow, and how one frame is sent."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.access import base

_open: Counter[str] = Counter()


@dataclass(frozen=True)
class Sockets:
    """How many sockets are open: of pages, of runs that are followed, and of rooms."""

    page: int
    run: int
    room: int


class CountedSockets:
    """Counts the WebSockets of ``app`` that are open."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope.get("type") != "websocket":
            return await self.app(scope, receive, send)
        kind = _kind(str(scope.get("path", "")))
        _open[kind] += 1
        try:
            await self.app(scope, receive, send)
        finally:
            _open[kind] -= 1


def open_sockets() -> Sockets:
    """Return how many sockets are open."""
    return Sockets(**{field.name: _open[field.name] for field in fields(Sockets)})


async def send(socket: WebSocket, frame: str | bytes) -> None:
    """Send one frame; raises WebSocketDisconnect when the reader has left."""
    try:
        await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
    except RuntimeError as error:  # what the server says of a frame after the connection's end
        raise WebSocketDisconnect(1006) from error


def _kind(path: str) -> str:
    if path.startswith(f"{base()}/rooms"):
        return "room"
    return "run" if path.startswith(base()) else "page"
