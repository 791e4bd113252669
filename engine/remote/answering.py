"""What a replica's answers have in common: whom they are about, and how a refusal travels."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

import models
from engine.jobs import words
from engine.remote.wire import Head, Message, pack, plain, unpack
from errors import EngineClosed, FoolscopeError

log = logging.getLogger("foolscope")
RESTARTING = 1012
"""Code of a socket that closes because its replica ends: the run may go on elsewhere."""
Prepare = Callable[[str], Awaitable[None]]
"""Has a model in memory before it is asked."""


def model_of(head: Head) -> str:
    """Return which model a message is about; raises `errors.UnknownName`."""
    name = str(head.get("model"))
    models.card(name)
    return name


async def answered(request: Request, answer: Callable[[Message], Awaitable[Message]]) -> Response:
    """Return what ``answer`` makes of a request's message, or its refusal; 503 when the replica ends."""
    try:
        content = pack(await answer(unpack(await request.body())))
        return Response(content, media_type="application/octet-stream")
    except EngineClosed:
        return Response("The replica ends.", 503)
    except Exception as error:
        content = pack(Message({"error": plain(refused(error))}))
    return Response(content, 400, media_type="application/octet-stream")


def refused(error: Exception) -> FoolscopeError:
    """Return an error as a sentence that may travel."""
    if isinstance(error, FoolscopeError):
        return error
    log.error("a question broke", exc_info=error)
    return FoolscopeError(words(error))
