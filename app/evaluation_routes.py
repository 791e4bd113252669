"""Where the files of evaluations are; what serves them brings torch, and is imported by the first request."""

from __future__ import annotations

import importlib

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.access import Handler, base, refusing


def routes() -> list[BaseRoute]:
    """Return the routes of evaluations."""
    at = f"{base()}/evaluations/{{id}}"
    return [
        Route(f"{at}/thumbnails/{{row}}.png", _later("thumbnails")),
        Route(f"{at}/open/{{row}}", _later("open_row")),
        Route(f"{at}/{{name}}", _later("file")),
    ]


def _later(name: str) -> Handler:
    """Return the handler called ``name`` of `app.evaluate.files`."""

    async def handle(request: Request) -> Response:
        module = await anyio.to_thread.run_sync(importlib.import_module, "app.evaluate.files")
        answer: Response = await getattr(module, name)(request)
        return answer

    return refusing(handle)
