"""HTTP and WebSocket routes beside the page: they translate, and decide nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from app import evaluation_routes, export_routes
from app.access import base, cursor, do, find, language, part, refusing
from app.inside.routes import routes as inside_routes
from app.rooms.routes import routes as room_routes
from app.service import engine, ready
from app.sharing_routes import route as files_route
from app.status.routes import routes as status_routes
from errors import UnknownName
from settings import LIVE

FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


class Versioned(StaticFiles):
    """Files under an address that holds their digest, so browsers may keep them for good."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file with leave to keep it."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(FOREVER)
        return response


async def show(request: Request) -> Response:
    """GET a run: its facts and where it stands."""
    from components.live.protocol import run_message, status_message

    run = await find(request)
    spoken = language(request)
    return JSONResponse({**status_message(run, spoken), **run_message(run, spoken)})


async def rows(request: Request) -> Response:
    """GET the rows from ``?start=`` on, for browsers that get no WebSocket."""
    from components.live.protocol import rows_message

    return JSONResponse(rows_message(await find(request), cursor(request), language(request)))


async def step(request: Request) -> Response:
    """GET one step's top five and figures."""
    from components.live.protocol import step_message

    run, index = await find(request), int(part(request, "step"))
    return JSONResponse(step_message(run, index, language(request)))


async def picture(request: Request) -> Response:
    """GET a picture of one step: lossless as png, small as jpg."""
    from components.live import protocol

    run, query = await find(request), request.query_params
    step, which, ext = (part(request, name) for name in ("step", "which", "ext"))
    gain, view = protocol.enlarged(query.get("gain", 1), query.get("view", "signed"))
    if which not in protocol.WHICH or ext not in ("png", "jpg"):
        raise UnknownName(f"Expected one of {', '.join(protocol.WHICH)} as png or jpg.")
    data = await anyio.to_thread.run_sync(protocol.picture, run, int(step), which, ext, gain, view)
    kind = "image/png" if ext == "png" else "image/jpeg"
    # The newest step's picture is exact and an older one's is not: only what has settled may be kept.
    headers = FOREVER if run.over or which == "original" else {"Cache-Control": "no-store"}
    return Response(data, media_type=kind, headers=headers)


async def seen(request: Request) -> Response:
    """GET what a model sees of a picture: ``?model=&image=&crop=``, lossless."""
    from components.live.protocol import seen as render
    from engine.links import read

    link = read(dict(request.query_params))
    if link.problems:
        raise UnknownName(str(link.problems[0]))
    data = await anyio.to_thread.run_sync(lambda: render(engine(), link.recipe))
    return Response(data, media_type="image/png", headers=FOREVER)


async def sample(request: Request) -> Response:
    """GET a sample as a small picture."""
    from engine.images.sources import open_sample
    from engine.render import encode, thumbnail

    name = part(request, "name")
    data = await anyio.to_thread.run_sync(lambda: encode(thumbnail(open_sample(name), 112), "jpg"))
    return Response(data, media_type="image/jpeg", headers=FOREVER)


async def health(request: Request) -> Response:
    """GET whether runs go on: 200 when they do, 503 while the engine starts or after it broke."""
    if not ready():
        return JSONResponse({"healthy": False, "breaks": 0, "error": "The engine is starting."}, 503)
    state = (await anyio.to_thread.run_sync(engine)).health()
    return JSONResponse(asdict(state), 200 if state.healthy else 503)


async def act(request: Request) -> Response:
    """POST pause, resume, step or cancel."""
    from components.live.protocol import status_message

    run = await find(request)
    do(run, part(request, "action"))
    return JSONResponse(status_message(run, language(request)))


async def live(socket: WebSocket) -> None:
    """Follow a run over a socket; imported by the first reader, for it brings torch."""
    from app.live import live as follow

    await follow(socket)


def routes() -> list[BaseRoute]:
    """Return all routes, under `base`."""
    at = f"{base()}/runs/{{id}}"
    return [
        Mount(f"{base()}/static/{{version}}", Versioned(directory=LIVE)),
        Route(f"{base()}/samples/{{name}}.jpg", refusing(sample)),
        Route(f"{base()}/health", refusing(health)),
        Route(f"{base()}/seen.png", refusing(seen)),
        Route(at, refusing(show)),
        Route(f"{at}/rows", refusing(rows)),
        Route(f"{at}/steps/{{step:int}}", refusing(step)),
        Route(f"{at}/steps/{{step:int}}/{{which}}.{{ext}}", refusing(picture)),
        files_route(),
        Route(f"{at}/{{action}}", refusing(act), methods=["POST"]),
        WebSocketRoute(f"{at}/live", live),
        *export_routes.routes(),
        *evaluation_routes.routes(),
        *inside_routes(),
        *room_routes(),
        *status_routes(),
    ]
