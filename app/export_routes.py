"""The files of a run by address: the very bytes that were classified."""

from __future__ import annotations

from functools import partial

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.access import base, find, refusing
from app.service import engine, judge
from errors import BadSetting, UnknownName

TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
KINDS = ("network", "photo", "added")


async def export(request: Request) -> Response:
    """GET a file of a run that is over: ``?step=`` (default: the last), ``?finished=1``."""
    from engine.export.making import Wanted

    run = await find(request)
    kind, ext = request.path_params["kind"], request.path_params["ext"]
    step = request.query_params.get("step", str(len(run) - 1))
    if kind not in KINDS or ext not in TYPES:
        raise UnknownName(f"Expected one of {', '.join(KINDS)} as {', '.join(TYPES)}.")
    if not run.over or not step.isdecimal() or len(step) > 12:
        raise BadSetting("Expected a step of a run that is over.")
    wanted = Wanted(kind, int(step), request.query_params.get("finished") == "1", ext)
    content = await anyio.to_thread.run_sync(partial(engine().export, run, wanted))
    if (kind, ext) == ("network", "png"):
        await anyio.to_thread.run_sync(partial(judge().note, run, content, wanted.finished))
    headers = {
        "Content-Disposition": f'attachment; filename="{content.name}"',
        "Cache-Control": "private, max-age=31536000, immutable",
    }
    return Response(content.data, media_type=TYPES[ext], headers=headers)


def routes() -> list[BaseRoute]:
    """Return the routes of a run's files."""
    return [Route(f"{base()}/runs/{{id}}/export/{{kind}}.{{ext}}", refusing(export))]
