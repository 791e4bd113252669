"""The HTML of the pages of rooms: a frame that a module of ``components/live/static/rooms`` fills."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import streamlit as st
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.access import base, reader, refusal
from app.rooms import asking
from app.sharing_routes import playground
from components.display.theme import NAMES, dashed
from components.i18n.preferences import LANGUAGES
from components.i18n.text import phrases, say_in
from components.live.loader import live_version
from engine.sharing.address import qr
from errors import TooMany, UnknownName
from settings import ASSETS, LIVE

PAGE = Markup("""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="icon" href="data:image/svg+xml,{icon}">
<style>:root {{ color-scheme: light dark; {colours} }}</style>
<link rel="stylesheet" href="{static}/rooms/room.css">
{styles}{modules}</head>
<body data-page="{page}">
<main id="room"><p class="waiting">{waiting}</p></main>
<script type="application/json" id="facts">{facts}</script>
<script type="module" src="{static}/rooms/{page}.js"></script>
</body>
</html>
""")
STYLE = Markup('<link rel="stylesheet" href="{static}/rooms/{name}.css">\n')
MODULE = Markup('<link rel="modulepreload" href="{static}/{name}">\n')
IMPORTED = re.compile(r'\bfrom "(\.[^"]+)"')
WAITING = "One moment …"


async def join(request: Request) -> Response:
    """GET the page on which a room's code is typed."""
    return page(request, "student", "Foolscope")


async def student(request: Request) -> Response:
    """GET the page of a room's members; where there is no such room it says so and asks for the code."""
    try:
        room = await asking.room(request)
    except (UnknownName, TooMany) as error:
        status, typed = 404 if isinstance(error, UnknownName) else 429, asking.code(request)[:20]
        return page(request, "student", "Foolscope", status, typed=typed, sentence=refusal(request, error))
    return page(request, "student", room.title or room.code, code=room.code)


async def wall(request: Request) -> Response:
    """GET the page for the projector, which asks for the teacher's key."""
    room = await asking.room(request)
    at = playground(request)
    join = f"{at}foolscope/rooms/{room.code}" if at else ""
    title, code = room.title or room.code, qr(join) if join else ""
    return page(request, "wall", title, styles=("wall",), code=room.code, join=join, qr=code)


def page(
    request: Request, name: str, title: str, status: int = 200, styles: Sequence[str] = (), **facts: Any
) -> Response:
    """Return a page that the module ``name`` fills, which finds ``facts`` in it; ``styles``: style sheets
    beside the one that all pages of rooms have."""
    spoken, static = reader(request), f"{base()}/static/{live_version()}"
    words = phrases(spoken, part="live") | phrases(spoken, part="room*")
    given = {"base": base(), "v": live_version(), "language": spoken, "languages": LANGUAGES, "words": words}
    needed = modules(f"rooms/{name}.js")
    html = PAGE.format(
        language=spoken,
        title=title,
        icon=Markup(_icon()),
        colours=Markup(colours()),
        static=static,
        page=name,
        styles=Markup("").join(STYLE.format(static=static, name=style) for style in styles),
        modules=Markup("").join(MODULE.format(static=static, name=module) for module in needed),
        waiting=say_in(spoken, WAITING),
        facts=Markup(json.dumps(given | facts).replace("<", "\\u003c")),
    )
    return HTMLResponse(str(html), status, headers={"Cache-Control": "no-store"})


def colours() -> str:
    """Return the theme's colours as CSS variables that follow the reader's light or dark."""
    pairs = {
        name: tuple(st.get_option(f"theme.{kind}.{name}") for kind in ("light", "dark")) for name in NAMES
    }
    return ";".join(
        f"--st-{dashed(name)}:light-dark({light},{dark})" for name, (light, dark) in pairs.items()
    )


@cache
def modules(name: str) -> list[str]:
    """Return the modules that a module in the folder of the browser's files needs, itself the first: a slow
    phone shall not learn of them one after the other."""
    known = [name]
    for module in known:  # which grows meanwhile
        text = (LIVE / module).read_text(encoding="utf-8")
        here = posixpath.dirname(module)
        for other in IMPORTED.findall(text):
            path = posixpath.normpath(posixpath.join(here, other))
            known += [path] if path not in known else []
    return known


def _icon() -> str:
    text = (ASSETS / "icon.svg").read_text(encoding="utf-8")
    return (
        text.replace("#", "%23").replace('"', "'").replace("<", "%3C").replace(">", "%3E").replace("\n", "")
    )
