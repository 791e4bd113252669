"""What every answer of this server tells browsers to be careful about."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import front
from app.access import base

USUAL = {
    "x-content-type-options": "nosniff",  # a file is what its type says
    "referrer-policy": "same-origin",  # addresses hold ids of runs, which are nobody else's business
    "cross-origin-opener-policy": "same-origin-allow-popups",
}
ROOM = (
    "default-src 'self'; script-src 'self' '{script}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'"
)
"""Of a page of a room, which runs no script but this server's files. Streamlit's own pages say nothing of the
kind: what they load is Streamlit's to know."""


class SafeHeaders:
    """Adds `USUAL` to every answer that does not say otherwise, and `ROOM` to the pages of rooms."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope.get("type") != "http":
            return await self.app(scope, receive, send)

        async def answer(message: Message) -> None:
            if message.get("type") == "http.response.start":
                _complete(MutableHeaders(scope=message), scope.get("path", ""))
            await send(message)

        await self.app(scope, receive, answer)


def _complete(headers: MutableHeaders, path: str) -> None:
    for name, value in USUAL.items():
        headers.setdefault(name, value)
    if path.startswith(f"{base()}/rooms") and headers.get("content-type", "").startswith("text/html"):
        policy = headers.get("content-security-policy")  # who may frame it
        own = ROOM.format(script=_front_script())
        headers["content-security-policy"] = f"{own}; {policy}" if policy else own


@cache
def _front_script() -> str:
    """Return the digest by which a policy knows the script that `app.front` puts into every page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(front.code().encode()).digest()).decode()}"
