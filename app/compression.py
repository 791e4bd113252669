"""The pages of rooms leave compressed: three hundred phones load them at the same time."""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access import base


class CompressedRooms:
    """Compresses what is under the address of rooms; the rest is Streamlit's to compress, or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.compressing = app, GZipMiddleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        room = scope.get("type") == "http" and scope.get("path", "").startswith(f"{base()}/rooms")
        await (self.compressing if room else self.app)(scope, receive, send)
