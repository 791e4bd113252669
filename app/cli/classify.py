"""``python -m app classify``: what a network sees in pictures, one line each."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import tee
from typing import Annotated, NamedTuple, NoReturn

import typer
from PIL import Image

import models
from app.cli.options import AsIs, AsJson, ModelName, recipe_options, texts
from engine import links
from engine.chosen import chosen
from engine.images.handwriting import dark_on_light
from engine.images.sources import FORMATS, SUFFIXES, examine, open_sample, read_bytes, samples
from engine.run import Prediction
from errors import BadImage, FoolscopeError
from models.core import Crop

LABEL_WIDTH = 24
PREPARED_NOTE = "Dark writing is prepared as MNIST does: light on black, centred (--as-is takes it as it is)."


class Picture(NamedTuple):
    """A picture to classify. ``image``: what the person called it, or its path below the folder that they
    named. ``open`` raises `errors.FoolscopeError` when it cannot be read."""

    image: str
    open: Callable[[], Image.Image]


@recipe_options("crop")
def command(
    images: Annotated[
        list[str],
        typer.Argument(help="Files, folders (every image in and below them), names of samples (cat, ...)."),
    ],
    model: ModelName = None,
    as_is: AsIs = False,
    as_json: AsJson = False,
    **fields: str | bool | None,
) -> None:
    """Print what the model sees in each image as soon as its batch is classified.

    Ends with 0, or after a sentence on each image that could not be read: 1, or 2 when that was every one.
    """
    link = links.checked({"model": model} | texts(fields))
    raise typer.Exit(print_answers(link.recipe.model, link.recipe.crop, images, as_is=as_is, as_json=as_json))


def print_answers(
    model: str, crop: Crop | None, images: list[str], *, as_is: bool = False, as_json: bool = False
) -> int:
    """Print what ``model`` sees in each image; return the exit status of `classify`."""
    prepare = _Preparing() if models.card(model).reads_digits and not as_is else None
    show = _printer(model, images, as_json)
    engine, counts = chosen(), [0, 0]
    try:
        named, opened = tee(pictures(images))
        answers = engine.classify_many(model, (picture.open for picture in opened), crop, prepare=prepare)
        for picture, answer in zip(named, answers, strict=True):
            show(picture.image, answer)
            counts[isinstance(answer, FoolscopeError)] += 1
    finally:
        engine.close()
    classified, failed = counts
    return 0 if not failed else 1 if classified else 2


def pictures(names: Iterable[str]) -> Iterator[Picture]:
    """Yield the picture behind each name: a sample, a file, or every picture file below a folder."""
    for name in names:
        if name in samples():
            yield Picture(name, partial(open_sample, name))
        elif os.path.isdir(name):
            yield from _below(name)
        else:
            yield Picture(name, partial(_read, name))


def _below(folder: str) -> Iterator[Picture]:
    """Yield the picture files of a folder, by name, and then those of the folders in it; what begins with a
    dot is left out. A folder that cannot be read, or holds no picture, is a picture that cannot be read."""
    unreadable: list[OSError] = []
    count = 0
    for path, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                count += 1
                file = os.path.join(path, name)
                yield Picture(file, partial(_read, file))
    for error in unreadable:
        reason = BadImage(f"Expected a folder that can be read, got {error.strerror}.")
        yield Picture(str(error.filename), partial(_refuse, reason))
    if not count and not unreadable:
        reason = BadImage(f"Expected a folder with pictures ({FORMATS}), got one with none.")
        yield Picture(folder, partial(_refuse, reason))


def _read(path: str) -> Image.Image:
    """Return the picture in a file, after a line on what there is to note about it."""
    decoded = examine(read_bytes(path), os.path.basename(path))
    for template, facts in decoded.notes:
        print(f"{path}: {template.format(**facts)}", file=sys.stderr)
    return decoded.picture


class _Preparing:
    """Says of each picture whether it is to be prepared as MNIST does, and the first time that it is."""

    def __init__(self) -> None:
        self._silent = threading.Lock()

    def __call__(self, picture: Image.Image) -> bool:
        wanted = dark_on_light(picture)
        if wanted and self._silent.acquire(blocking=False):
            print(PREPARED_NOTE, file=sys.stderr)
        return wanted


def _refuse(reason: BadImage) -> NoReturn:
    raise reason


def _printer(
    model: str, images: list[str], as_json: bool
) -> Callable[[str, list[Prediction] | FoolscopeError], None]:
    """Return what prints an answer: as a line of JSON, as the five classes of the only image, or as a row of
    a table. Each line is written out at once, so that a reader who left ends the work."""
    width = min(LABEL_WIDTH, max(map(len, models.card(model).labels)))
    one = len(images) == 1 and (images[0] in samples() or not os.path.isdir(images[0]))

    def show(image: str, answer: list[Prediction] | FoolscopeError) -> None:
        if isinstance(answer, FoolscopeError):
            print(f"{image}: {answer}", file=sys.stderr)
        if as_json:
            print(json.dumps(_plain(image, answer), ensure_ascii=False), flush=True)
        elif not isinstance(answer, FoolscopeError):
            for outcome in answer if one else answer[:1]:
                row = f"{100 * outcome.probability:6.2f} %  {outcome.label}"
                print(row if one else f"{row:<{width + 10}}  {image}", flush=True)

    return show


def _plain(image: str, answer: list[Prediction] | FoolscopeError) -> dict[str, object]:
    if isinstance(answer, FoolscopeError):
        return {"image": image, "error": str(answer)}
    return {"image": image, "top": [{"label": o.label, "probability": o.probability} for o in answer]}
