"""The cookie by which a browser finds its own runs again: set with the page, read by no script."""

from __future__ import annotations

import secrets

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from components.owner import COOKIE, VALID

SECONDS = 400 * 86_400
"""For how long a browser keeps the cookie: the longest that browsers allow."""


class OwnerCookie:
    """Gives a browser that asks for a page a cookie of 256 random bits, and renews the one that it has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; add the cookie to a page's answer."""
        if scope.get("type") != "http" or scope.get("method") != "GET" or not _page(HTTPConnection(scope)):
            await self.app(scope, receive, send)
            return
        cookie = _cookie(HTTPConnection(scope))

        async def answer(message: Message) -> None:
            if message.get("type") == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("Set-Cookie", cookie)
                headers.append("Vary", "Cookie")  # no cache may hand it to another browser
            await send(message)

        await self.app(scope, receive, answer)


def _page(request: HTTPConnection) -> bool:
    """Say whether a browser asks for a document."""
    return "text/html" in request.headers.get("accept", "")


def _cookie(request: HTTPConnection) -> str:
    """Return the header that sets the browser's cookie, a new one where it has none."""
    value = request.cookies.get(COOKIE, "")
    value = value if VALID.fullmatch(value) else secrets.token_urlsafe(32)
    response = Response()
    response.set_cookie(
        COOKIE,
        value,
        max_age=SECONDS,
        secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
        httponly=True,
        samesite="lax",
    )
    return response.headers["set-cookie"]
