"""``python -m app attack``: one run, and what it found as files."""

from __future__ import annotations

import json
import random
import re
import sys
from argparse import Namespace
from dataclasses import replace
from itertools import count
from pathlib import Path

from tqdm import tqdm

import models
from app.cli.classify import PREPARED_NOTE
from engine import links, report
from engine.engine import Engine
from engine.images.handwriting import dark_on_light
from engine.images.sources import PREPARED, read_bytes, samples
from engine.recipe import Recipe
from engine.run import Run
from engine.targets import class_by_rank, ranked_target
from errors import FoolscopeError

OUT = Path("foolscope-out")
"""Where results go, each in a folder of its own, unless ``--out`` says otherwise."""


def run(link: links.Link, options: Namespace) -> int:
    """Carry out the link's recipe, write its files and say where they are; return 0.

    Raises `errors.FoolscopeError`.
    """
    engine = Engine()
    try:
        recipe = _aimed(engine, replace(link.recipe, image=_image(engine, link, options)), link.target)
        finished = _follow(engine, recipe, quiet=options.json)
        folder = options.out or new_folder(options.image, _goal(recipe))
        named = PREPARED * recipe.image.startswith(PREPARED) + options.image.removeprefix(PREPARED)
        result = report.write(engine, finished, folder, named)
    finally:
        engine.close()
    if options.json:
        print(json.dumps(result | {"folder": str(folder)}, ensure_ascii=False, indent=1))
    else:
        print(finished.sentence(), f"Written to {folder}.")
    return 0


def new_folder(image: str, goal: str, parent: Path = OUT) -> Path:
    """Make and return a folder called after the picture and the goal, such as ``panda-vulture``, with a
    number behind it when that name is taken.

    Raises `errors.FoolscopeError` when it cannot be made.
    """
    name = f"{_slug(Path(image).stem)}-{_slug(goal)}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise FoolscopeError(f"Expected a folder to write to, got {parent}: {error.strerror}.") from error
    raise AssertionError("count never ends")


def _slug(text: str) -> str:
    """Return ``text`` in lower case with a hyphen for all that is no letter or digit, at most 60 long."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:60] or "picture"


def _goal(recipe: Recipe) -> str:
    return links.ANYTHING if recipe.target is None else models.card(recipe.model).labels[recipe.target]


def _aimed(engine: Engine, recipe: Recipe, wanted: str | None) -> Recipe:
    """Return the recipe with the class that ``wanted`` names by its rank, if it does."""
    target = ranked_target(wanted or "")
    if target is None:
        return recipe
    ranking = engine.classify(recipe.model, recipe.image, recipe.crop)
    return replace(recipe, target=class_by_rank(target, ranking, random.Random(recipe.seed)))


def _follow(engine: Engine, recipe: Recipe, quiet: bool) -> Run:
    """Return the finished run of ``recipe``, shown on the way as a bar; ``quiet``: on a terminal alone."""
    run = engine.submit(recipe)
    with tqdm(total=run.total, unit="step", disable=None if quiet else False) as bar:
        for index in engine.stream(run):
            bar.update(index - bar.n)
            best = run.top(index, 1)[0]
            bar.set_postfix_str(f"{best.label} {best.probability:.0%}")
    if run.status != "finished":
        raise FoolscopeError(run.sentence())
    return run


def _image(engine: Engine, link: links.Link, options: Namespace) -> str:
    """Return the name of a sample as it is, or under which a file's picture is kept, "mnist:" before it where
    it is prepared as MNIST does, which the person may write too; print what there is to note about it."""
    if options.image in samples():
        return str(options.image)
    path, prepared = options.image.removeprefix(PREPARED), options.image.startswith(PREPARED)
    token = engine.uploads.add(read_bytes(path), path)
    for template, facts in engine.notes(token):
        print(f"{path}: {template.format(**facts)}", file=sys.stderr)
    if prepared:
        return PREPARED + token
    digits = models.card(link.recipe.model).reads_digits and not options.as_is
    if not digits or not dark_on_light(engine.picture(token)):
        return token
    print(PREPARED_NOTE, file=sys.stderr)
    return PREPARED + token
