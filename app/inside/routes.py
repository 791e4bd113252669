"""GET what is inside: ``{base}/runs/{id}/inside/{part}?step=``, lines of JSON as they are computed."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.access import base, find, language, part, refusal, refusing
from app.inside.streaming import LinesResponse, Turns
from app.service import engine
from components.i18n.text import phrases
from components.owner import owner_by

AT_ONCE = 2
"""Questions about one run that are carried out at the same time; a third one waits."""
WORDS = ("inside", "plane")
"""The files of phrases that the section's modules use."""
TURNS = Turns(AT_ONCE)


async def inside(request: Request) -> Response:
    """GET one part, at a step."""
    from app.inside.parts import PARTS, look  # brings torch

    run, spoken, owner = await find(request), language(request), owner_by(request.cookies)
    asked = look(engine(), run, part(request, "part"), dict(request.query_params), spoken, owner)
    return LinesResponse(partial(PARTS[asked.part], asked), run.id, TURNS, partial(refusal, request))


async def words(request: Request) -> Response:
    """GET the section's phrases in the reader's language, by the English ones."""
    spoken = language(request)
    known = {phrase: own for name in WORDS for phrase, own in phrases(spoken, part=name).items()}
    return JSONResponse(known if spoken != "en" else {}, headers={"Cache-Control": "private, max-age=600"})


def routes() -> list[BaseRoute]:
    """Return the routes of the section."""
    return [
        Route(f"{base()}/runs/{{id}}/inside/{{part}}", refusing(inside)),
        Route(f"{base()}/inside/words", refusing(words)),
    ]
