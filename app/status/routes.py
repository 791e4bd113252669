"""Routes that say how this server is."""

from __future__ import annotations

import pkgutil
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.access import base, check_watcher, language, refusing
from app.status.readiness import parts
from components.i18n.text import told

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
FRESH = {"Cache-Control": "no-store"}


async def ready(request: Request) -> Response:
    """GET whether the server can do its work: 200 when it can, else 503; both with each part. ``?parts=``:
    those that count, separated by commas, by default all."""
    wanted = [name for name in request.query_params.get("parts", "").split(",") if name]
    looked = await anyio.to_thread.run_sync(parts, wanted)
    spoken, well = language(request), all(part.ready for part in looked)
    named_parts = {
        part.name: {"ready": part.ready, "sentence": told(part.error, spoken) if part.error else ""}
        for part in looked
    }
    return JSONResponse({"ready": well, "parts": named_parts}, 200 if well else 503, FRESH)


async def metrics(request: Request) -> Response:
    """GET the server's figures for Prometheus."""
    check_watcher(request)
    return Response(await _answer("metrics"), media_type=PLAIN, headers=FRESH)


async def status(request: Request) -> Response:
    """GET the owner's page."""
    check_watcher(request)
    return HTMLResponse(await _answer("status", language(request)), headers=FRESH)


async def _answer(name: str, *words: str) -> Any:
    def answer() -> Any:
        return pkgutil.resolve_name(f"app.status.answers:{name}")(*words)  # in a thread: it waits for torch

    return await anyio.to_thread.run_sync(answer)


def routes() -> list[BaseRoute]:
    """Return all of them, under `app.access.base`."""
    answers = {"ready": ready, "metrics": metrics, "status": status}
    return [Route(f"{base()}/{name}", refusing(answer)) for name, answer in answers.items()]
