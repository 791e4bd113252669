"""The pictures that an evaluation leaves: the fooling ones with their recipes, and strips to look at."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from PIL import Image

from engine.base import EngineBase
from engine.evaluation.journal import PICTURES, THUMBNAILS, Journal, write
from engine.evaluation.record import Key, Row
from engine.export.making import Wanted
from engine.render import encode, perturbation, suggest_gain, to_image
from engine.run import Run
from errors import FoolscopeError

SIDE = 96
"""Pixels of a thumbnail at most."""
NOT_WRITTEN = "The fooling picture could not be written: {why}"


def keep(engine: EngineBase, journal: Journal, row: Row, run: Run | None, pictures: bool) -> None:
    """Write what a row leaves, then the row. ``pictures``: also what fools, made to hold in 8 bits."""
    if run is not None:
        write(journal.folder / THUMBNAILS / f"{stem(row.key)}.png", strip(run))
        if pictures and row.success:
            row = _with_picture(engine, journal, row, run)
    journal.append(row)


def _with_picture(engine: EngineBase, journal: Journal, row: Row, run: Run) -> Row:
    try:
        export = engine.export(run, Wanted("network", len(run) - 1, True))
    except FoolscopeError as error:
        return replace(row, error=NOT_WRITTEN.format(why=error))
    name = f"{PICTURES}/{stem(row.key)}.png"
    write(journal.folder / name, export.data)
    return replace(row, picture=name, picture_fools=export.verdict.success)


def stem(key: Key) -> str:
    """Return a file name without ending that no other row has, and that tells a person whose it is."""
    words = re.sub(r"[\W_]+", "-", key.file.rpartition("/")[2].rpartition(".")[0] or key.file).strip("-")[:40]
    model = re.sub(r"[^\w+.-]", "-", key.model)[:40]
    budget = "" if key.epsilon is None else f"-{key.epsilon:.4g}"
    digest = hashlib.sha256(repr(tuple(key)).encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{words or 'picture'}-{model}-{key.attack}{budget}-{digest}"


def strip(run: Run) -> bytes:
    """Return the original, what was added (amplified) and the last picture side by side, as PNG."""
    last = len(run) - 1
    start, end = run.picture(0), run.picture(last)
    delta = end - start
    shown = [to_image(start), perturbation(delta, suggest_gain(delta)), to_image(end)]
    side = min(SIDE, shown[0].width)
    whole = Image.new("RGB", (3 * side, side))
    for place, picture in enumerate(shown):
        whole.paste(picture.resize((side, side), Image.Resampling.BOX), (place * side, 0))
    return encode(whole, "png")
