"""HTTP and WebSocket routes beside the page: they translate, and decide nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import streamlit as st
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.service import engine
from errors import FoolscopeError, UnknownName

if TYPE_CHECKING:
    from engine.run import Run

LIVE = Path(__file__).parents[1] / "components" / "live"
FRAME = 1 / 30
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
Handler = Callable[[Request], Awaitable[Response]]


def base() -> str:
    """Return the path under which our routes live, the server's own prefix included."""
    prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{prefix}/foolscope" if prefix else "/foolscope"


def same_origin(connection: HTTPConnection) -> bool:
    """Say whether a request comes from our own page (or from no page at all, as a script's does)."""
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host")


def refusing(handler: Handler) -> Handler:
    """Turn refusals into one JSON sentence with a fitting status code."""

    async def guarded(request: Request) -> Response:
        if request.method != "GET" and not same_origin(request):
            return JSONResponse({"error": "Expected a request from this page's own origin."}, 403)
        try:
            return await handler(request)
        except UnknownName as error:
            return JSONResponse({"error": str(error)}, 404)
        except IndexError as error:
            return JSONResponse({"error": str(error)}, 404)
        except (FoolscopeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return guarded


async def _run(connection: HTTPConnection) -> Run:
    owner = await anyio.to_thread.run_sync(engine)
    return owner.run(connection.path_params["id"])


async def show(request: Request) -> Response:
    """GET a run: its facts and where it stands."""
    from components.wire import run_message, status_message

    run = await _run(request)
    return JSONResponse({**status_message(run), **run_message(run)})


async def rows(request: Request) -> Response:
    """GET the rows from ``?start=`` on, for browsers that get no WebSocket."""
    from components.wire import rows_message

    return JSONResponse(rows_message(await _run(request), int(request.query_params.get("start", 0))))


async def step(request: Request) -> Response:
    """GET one step's top five and figures."""
    from components.wire import step_message

    return JSONResponse(step_message(await _run(request), request.path_params["step"]))


async def picture(request: Request) -> Response:
    """GET a picture of one step: lossless as png, small as jpg."""
    from components import wire

    run, path, query = await _run(request), request.path_params, request.query_params
    gain, view = float(query.get("gain", 1)), query.get("view", "signed")
    right = path["which"] in wire.WHICH and path["ext"] in ("png", "jpg") and view in wire.VIEWS
    if not right or not 0 < gain <= wire.MAX_GAIN:
        raise UnknownName(f"Expected one of {', '.join(wire.WHICH)} as png or jpg, and a gain up to {wire.MAX_GAIN:g}.")
    data = await anyio.to_thread.run_sync(wire.picture, run, path["step"], path["which"], path["ext"], gain, view)
    kind = "image/png" if path["ext"] == "png" else "image/jpeg"
    # The newest step's picture is exact and an older one's is not: only what has settled may be kept.
    headers = FOREVER if run.over or path["which"] == "original" else {"Cache-Control": "no-store"}
    return Response(data, media_type=kind, headers=headers)


async def seen(request: Request) -> Response:
    """GET what a model sees of a picture: ``?model=&image=&crop=``, lossless."""
    from components.share import read
    from components.wire import seen as render

    link = read(dict(request.query_params))
    if link.problems:
        raise UnknownName(link.problems[0])
    data = await anyio.to_thread.run_sync(lambda: render(engine(), link.recipe))
    return Response(data, media_type="image/png", headers=FOREVER)


async def sample(request: Request) -> Response:
    """GET a sample as a small picture."""
    from components.pictures import encode, thumbnail
    from engine.images import open_sample

    name = request.path_params["name"]
    data = await anyio.to_thread.run_sync(lambda: encode(thumbnail(open_sample(name), 112), "jpg"))
    return Response(data, media_type="image/jpeg", headers=FOREVER)


async def act(request: Request) -> Response:
    """POST pause, resume, step or cancel."""
    from components.wire import status_message

    run = await _run(request)
    _do(run, request.path_params["action"])
    return JSONResponse(status_message(run))


def _do(run: Run, action: str) -> None:
    actions = {"pause": engine().pause, "resume": engine().resume, "step": engine().step, "cancel": engine().cancel}
    if action not in actions:
        raise UnknownName.of("action", action, actions)
    actions[action](run)


async def live(socket: WebSocket) -> None:
    """Send a run to one reader as it grows, and do what the reader asks."""
    await socket.accept()
    try:
        if not same_origin(socket):
            raise UnknownName("Expected a connection from this page's own origin.")
        run = await _run(socket)
        start = int(socket.query_params.get("start", 0))
    except (FoolscopeError, ValueError) as error:
        await socket.send_text(json.dumps({"type": "error", "sentence": str(error)}))
        await socket.close(4404)
        return
    wanted: dict[str, Any] = {}
    listener = asyncio.create_task(_listen(socket, run, wanted))
    try:
        await _talk(socket, run, start, wanted, listener)
    except (WebSocketDisconnect, RuntimeError):
        return  # the reader left in the middle of a frame
    finally:
        listener.cancel()


async def _talk(socket: WebSocket, run: Run, start: int, wanted: dict[str, Any], listener: asyncio.Task[None]) -> None:
    from components.wire import Feed, picture_frames, run_message

    await socket.send_text(json.dumps(run_message(run)))
    feed, shown = Feed(run, start), (-1, 0.0, "")
    while not listener.done():
        for frame in feed.frames():
            await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        if wanted and len(run):
            newest = (run.picture_step(len(run) - 1), wanted["gain"], wanted["view"])
            if newest != shown:
                wanted.clear()
                shown = newest
                for data in await anyio.to_thread.run_sync(picture_frames, run, *newest):
                    await socket.send_bytes(data)
        if feed.ended:
            await socket.close(1000)
            return
        await asyncio.sleep(FRAME)


async def _listen(socket: WebSocket, run: Run, wanted: dict[str, Any]) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            asked = json.loads(message.get("text") or "{}")
            if asked.get("do") == "look":
                gain, view = float(asked.get("gain", 10)), str(asked.get("view", "signed"))
                wanted.update(gain=min(max(gain, 1.0), 1000.0), view=view if view in ("signed", "size") else "signed")
            else:
                _do(run, str(asked.get("do")))
        except (ValueError, FoolscopeError) as error:
            await socket.send_text(json.dumps({"type": "error", "sentence": str(error)}))


def routes() -> list[BaseRoute]:
    """Return all routes, under `base`."""
    at = f"{base()}/runs/{{id}}"
    return [
        Mount(f"{base()}/static", StaticFiles(directory=LIVE)),
        Route(f"{base()}/samples/{{name}}.jpg", refusing(sample)),
        Route(f"{base()}/seen.png", refusing(seen)),
        Route(at, refusing(show)),
        Route(f"{at}/rows", refusing(rows)),
        Route(f"{at}/steps/{{step:int}}", refusing(step)),
        Route(f"{at}/steps/{{step:int}}/{{which}}.{{ext}}", refusing(picture)),
        Route(f"{at}/{{action}}", refusing(act), methods=["POST"]),
        WebSocketRoute(f"{at}/live", live),
    ]
