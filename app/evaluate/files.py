"""What `app.evaluation_routes` serves: the files of an evaluation, and a row's way into the playground."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, urlencode

import anyio
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from app import service
from app.access import base, language
from app.evaluate.shelf import shelf
from components.take_home.voice import voice
from engine import links
from engine.evaluation import tables
from engine.evaluation.contact_sheet import recipe_of
from engine.evaluation.journal import THUMBNAILS
from engine.evaluation.leaving import stem
from engine.evaluation.record import Row
from engine.evaluation.shelf import Going
from errors import UnknownName

TYPES = {
    "rows.csv": "text/csv; charset=utf-8",
    "rows.parquet": "application/vnd.apache.parquet",
    "index.html": "text/html; charset=utf-8",
    "pictures.zip": "application/zip",
}
NO_ROW = "There is no such row of this evaluation (yet)."


def _part(request: Request, name: str) -> str:
    """Return a part of an address."""
    return str(request.path_params[name])


def _asked(request: Request) -> Going:
    """Return the evaluation that an address names; raises `errors.UnknownName`."""
    return shelf().get(_part(request, "id"))


def _playground(request: Request) -> str:
    """Return the address of the playground, as the visitor sees it."""
    return f"{str(request.base_url).rstrip('/')}{base().removesuffix('/foolscope')}/"


async def file(request: Request) -> Response:
    """GET a file of what there is of an evaluation."""
    name = _part(request, "name")
    if name not in TYPES:
        raise UnknownName(f"Expected one of {', '.join(TYPES)}.")
    data = await anyio.to_thread.run_sync(partial(_file, request, name))
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(data, media_type=TYPES[name], headers=headers)


def _file(request: Request, name: str) -> bytes:

    going = _asked(request)
    make: dict[str, Callable[[], bytes]] = {
        "rows.csv": lambda: tables.table_csv(going.rows),
        "rows.parquet": lambda: tables.table_parquet(going.rows),
        "index.html": lambda: going.evaluation.sheet(
            going.journal, _playground(request), voice(language(request))
        ).encode(),
        "pictures.zip": lambda: _zipped(going),
    }
    return make[name]()


def _zipped(going: Going) -> bytes:
    """Return the fooling pictures, which are compressed already, as one archive."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for row in going.rows:
            if row.picture:
                archive.write(going.folder / row.picture, row.picture)
    return whole.getvalue()


async def thumbnails(request: Request) -> Response:
    """GET a row's pictures side by side."""
    going = await anyio.to_thread.run_sync(_asked, request)
    row = _row(going, _part(request, "row"))

    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(going.folder / THUMBNAILS / f"{stem(row.key)}.png", headers=headers)


async def open_row(request: Request) -> Response:
    """GET the playground with a row's picture and settings: the picture is handed to it as an upload is."""
    going = await anyio.to_thread.run_sync(_asked, request)
    row = _row(going, _part(request, "row"))
    query = await anyio.to_thread.run_sync(_recipe, going, row)
    return RedirectResponse(f"{_playground(request)}?{urlencode(query, quote_via=quote)}")


def _recipe(going: Going, row: Row) -> dict[str, str]:

    (picture,) = (picture for picture in going.evaluation.pictures if picture.file == row.file)
    image = row.file
    if picture.path is not None:
        image = service.engine().uploads.add(picture.path.read_bytes(), picture.path.name)
    recipe = recipe_of(row, going.evaluation.setups, image)
    if recipe is None:
        raise UnknownName(NO_ROW)
    return links.write(recipe)


def _row(going: Going, name: str) -> Row:

    for row in going.rows:
        if stem(row.key) == name and row.attacked and row.epsilon != 0:
            return row
    raise UnknownName(NO_ROW)
