"""GET a file that shows a run to others: ``{base}/runs/{id}/files/{name}``, see `engine.sharing.files`."""

from __future__ import annotations

import re

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.access import base, find, language, refusing
from components.take_home.voice import voice

HOST = re.compile(r"[\w.:\[\]-]+")
PREFIX = re.compile(r"(/[\w.~-]+)*")


async def file(request: Request) -> Response:
    """GET one file of a run that is over; ``?lang=`` says in which language it speaks."""
    from engine.sharing import files  # brings torch

    run, name = await find(request), str(request.path_params["name"])
    spoken, at = voice(language(request)), playground(request)
    content = await anyio.to_thread.run_sync(files.made, run, name, spoken, at)
    headers = {
        "Content-Disposition": f'attachment; filename="{files.file_name(run, name)}"',
        "Cache-Control": "private, max-age=600",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=files.FILES[name].media, headers=headers)


def playground(request: Request) -> str:
    """Return the address of the playground as the reader has it, a proxy's host and prefix included."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip()
    host = request.headers.get("x-forwarded-host", request.headers.get("host", "")).split(",")[0].strip()
    prefix = request.headers.get("x-forwarded-prefix", "").rstrip("/")
    if scheme not in ("http", "https") or not HOST.fullmatch(host) or not PREFIX.fullmatch(prefix):
        return ""
    return f"{scheme}://{host}{prefix}{base().removesuffix('foolscope')}"


def route() -> Route:
    """Return the route, under `app.access.base`."""
    return Route(f"{base()}/runs/{{id}}/files/{{name}}", refusing(file))
