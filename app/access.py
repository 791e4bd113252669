"""Who may ask for what: where our routes live, whose requests they take, and how they refuse."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import streamlit as st
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

import settings
from app.service import engine
from components.i18n.preferences import LANGUAGES, of_locale
from components.i18n.text import told
from errors import BadSetting, FoolscopeError, HistoryFailed, NotAllowed, TooMany, UnknownName

if TYPE_CHECKING:
    from engine.run import Run

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORT = re.compile(r":[0-9]+$")
PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers by which a proxy says that somebody else asks."""
NOT_SHOWN = "This server shows no figures of itself (FOOLSCOPE_METRICS=off)."
NOT_HERE = (
    "Expected a request from the server's own machine; FOOLSCOPE_METRICS=on shows its figures to "
    "everybody who reaches it."
)
Handler = Callable[[Request], Awaitable[Response]]


def base() -> str:
    """Return the path under which our routes live, the server's own prefix included."""
    prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{prefix}/foolscope" if prefix else "/foolscope"


def may_add_models() -> bool:
    """Say whether the page offers to add networks: not where the server listens beyond this machine, nor
    where its owner says no (``FOOLSCOPE_ADD_MODELS=0``). Raises `errors.BadSetting`."""
    return settings.add_models() and str(st.get_option("server.address")) in LOOPBACK


def check_watcher(connection: HTTPConnection) -> None:
    """Let nobody see the server's figures whom `settings.metrics` does not allow it; raises
    `errors.UnknownName`, `errors.NotAllowed`."""
    allowed = settings.metrics()
    if allowed == "off":
        raise UnknownName(NOT_SHOWN)
    if allowed == "local" and not from_this_machine(connection):
        raise NotAllowed(NOT_HERE)


def from_this_machine(connection: HTTPConnection) -> bool:
    """Say whether somebody on this very machine asks, for an address of this machine, without a proxy."""
    client = connection.client.host if connection.client else ""
    asked = PORT.sub("", connection.headers.get("host", "")).strip("[]")
    passed_on = any(name in connection.headers for name in PASSED_ON)
    return client.removeprefix("::ffff:") in LOOPBACK and asked in LOOPBACK and not passed_on


def same_origin(connection: HTTPConnection) -> bool:
    """Say whether a request comes from our own page (or from no page at all, as a script's does)."""
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host")


def foreign(connection: HTTPConnection) -> str:
    """Return in a sentence why a request is not `same_origin`."""
    origin, host = connection.headers.get("origin"), connection.headers.get("host")
    return (
        f"Expected a request from this page's own origin, {host}, got one from {origin}. "
        "A proxy in between has to pass on the header Host."
    )


def refusing(handler: Handler) -> Handler:
    """Turn refusals into one JSON sentence with a fitting status code."""

    async def guarded(request: Request) -> Response:
        if request.method != "GET" and not same_origin(request):
            return JSONResponse({"error": foreign(request)}, 403)
        try:
            return await handler(request)
        except UnknownName as error:
            return JSONResponse({"error": refusal(request, error)}, 404)
        except TooMany as error:
            wait = {"Retry-After": str(math.ceil(error.after))}
            return JSONResponse({"error": refusal(request, error)}, 429, wait)
        except NotAllowed as error:
            return JSONResponse({"error": refusal(request, error)}, 403)
        except HistoryFailed as error:
            return JSONResponse({"error": refusal(request, error)}, 503)
        except FoolscopeError as error:
            return JSONResponse({"error": refusal(request, error)}, 400)

    return guarded


def refusal(connection: HTTPConnection, error: FoolscopeError) -> str:
    """Return a refusal in the reader's language, as far as its sentence is known there."""
    return told(error, language(connection))


def part(connection: HTTPConnection, name: str) -> str:
    """Return a part of the address."""
    return str(connection.path_params[name])


async def find(connection: HTTPConnection) -> Run:
    """Return the run that the address names, or raise `errors.UnknownName`."""
    # In a thread: the first call waits for torch, and a run that memory has no more comes from the disk.
    return await anyio.to_thread.run_sync(lambda: engine().run(connection.path_params["id"]))


def cursor(connection: HTTPConnection) -> int:
    """Return how many rows the reader says it has; raises `errors.BadSetting` when that is no number."""
    text = connection.query_params.get("start", "0")
    if not text.isdecimal() or len(text) > 12:
        raise BadSetting(f"Expected start to be a whole number from 0 on, got “{text[:40]}”.")
    return int(text)


def language(connection: HTTPConnection) -> str:
    """Return the language in which the reader wants classes named: ``?lang=``, else English."""
    wanted = connection.query_params.get("lang", "en")
    return wanted if wanted in LANGUAGES else "en"


def reader(connection: HTTPConnection) -> str:
    """Return the language of a page: ``?lang=``, else the first of the browser's that there is."""
    if "lang" in connection.query_params:
        return language(connection)
    wanted = connection.headers.get("accept-language", "").split(",")
    tongues = (of_locale(locale.partition(";")[0].strip()) for locale in wanted)
    return next(filter(None, tongues), "en")


def do(run: Run, action: str) -> None:
    """Carry out pause, resume, step or cancel; raises `errors.UnknownName` for anything else."""
    actions = {
        "pause": engine().pause,
        "resume": engine().resume,
        "step": engine().step,
        "cancel": engine().cancel,
    }
    if action not in actions:
        raise UnknownName.of("action", action, actions)
    actions[action](run)
