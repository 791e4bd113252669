"""The link of a run, and its QR code."""

from __future__ import annotations

import io
from urllib.parse import quote, urlencode

import segno

from engine import links
from engine.run import Run

QUIET_ZONE = 4
"""Modules of white around a code, as the standard asks for."""


def link(run: Run, page: str, language: str = "en") -> str:
    """Return the address that opens this run, or computes it again where it is forgotten.

    ``page``: the address of the playground, without a query; ``language``: in which it opens.
    """
    query = links.write(run.recipe, run.id) | ({} if language == "en" else {"lang": language})
    return f"{page}?{urlencode(query, quote_via=quote)}"


def qr(text: str) -> str:
    """Return ``text`` as a QR code: SVG, dark on white in any theme, with its quiet zone.

    Raises `segno.DataOverflowError` for more than fits, some 2,900 letters.
    """
    file = io.BytesIO()
    code = segno.make_qr(text, error="l", boost_error=True)
    code.save(
        file,
        kind="svg",
        border=QUIET_ZONE,
        dark="#000",
        light="#fff",
        xmldecl=False,
        svgns=True,
        omitsize=True,
        nl=False,
    )
    return file.getvalue().decode()
