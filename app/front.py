"""The one HTML file in which every page is drawn, as it leaves the server: what Streamlit's own lacks."""

from __future__ import annotations

from functools import cache
from html import escape

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import settings
from components.i18n.preferences import LANGUAGES
from components.i18n.text import phrases
from settings import ASSETS

HEAD = b"<head>"
PROXY = (
    "This page was asked for at {page}, but its server reads {host}: the proxy in between has to pass on the "
    "header Host, or nothing here works (nginx: proxy_set_header Host $http_host)."
)


class Front:
    """Passes on what ``app`` answers, with our script at the head of its HTML, where it runs before anything
    else does, and with the sites that may show it in a frame (`settings.frame_ancestors`)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope.get("type") != "http" or scope.get("method") != "GET":
            return await self.app(scope, receive, send)
        host = Request(scope).headers.get("host", "")
        await self.app(_uncompressed(scope), receive, Rewritten(send, host))


class Rewritten:
    """Sends an answer on; HTML, once it is whole, with our script in it. ``host``: what was asked for."""

    def __init__(self, send: Send, host: str) -> None:
        self._send, self._host = send, host
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        """Send one message on, or hold it until the body is whole."""
        if message.get("type") == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        body = self._body.replace(HEAD, HEAD + script(self._host), 1)
        headers = MutableHeaders(scope=start)
        headers["content-length"] = str(len(body))
        for name in ("etag", "last-modified", "accept-ranges"):  # those of the file as it was
            del headers[name]
        if allowed := settings.frame_ancestors():
            headers["content-security-policy"] = f"frame-ancestors {allowed}"
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def script(host: str) -> bytes:
    """Return our script as an HTML element that knows for which ``host`` the page was asked."""
    return f'<script data-host="{escape(host)}" {_words()}>{code()}</script>'.encode()


@cache
def code() -> str:
    """Return the script that every page begins with."""
    return (ASSETS / "front.js").read_text(encoding="utf-8")


@cache
def _words() -> str:
    """Return `PROXY` in every language, as attributes of an HTML element."""
    known = {language: phrases(language).get(PROXY, PROXY) for language in LANGUAGES}
    return " ".join(f'data-{language}="{escape(words)}"' for language, words in known.items())


def _is_page(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    kind, use = headers.get("content-type", ""), headers.get("content-disposition", "")
    saved = use.startswith("attachment")  # a file, such as a report, which is opened anywhere
    return bool(start.get("status") == 200 and kind.startswith("text/html") and not saved)


def _uncompressed(scope: Scope) -> Scope:
    """Return the request of a file as one for the whole of it: uncompressed, and whatever is known of it."""
    if "text/html" not in MutableHeaders(scope=scope).get("accept", "text/html"):
        return scope
    unwanted = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
    return {**scope, "headers": [pair for pair in scope["headers"] if pair[0] not in unwanted]}
