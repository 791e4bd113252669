"""``python -m app attack``: one run, and what it found as files."""

from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

import models
from app.cli import evaluate
from app.cli.classify import PREPARED_NOTE
from app.cli.options import AsIs, AsJson, Finish, Force, ModelName, OutFolder, recipe_options, texts
from engine import links, report
from engine.base import EngineBase
from engine.chosen import chosen
from engine.images.handwriting import dark_on_light
from engine.images.sources import PREPARED, read_bytes, samples
from engine.recipe import Recipe
from engine.run import Run
from engine.targets import class_by_rank, ranked_target
from errors import FoolscopeError

OUT = Path("foolscope-out")
"""Where results go, each in a folder of its own, unless ``--out`` says otherwise."""


@recipe_options()
def command(
    image: Annotated[
        str,
        typer.Argument(help="A file, the name of a sample (cat, black, ...), or a folder: many pictures."),
    ],
    target: Annotated[
        str,
        typer.Option(help="Class to reach: a label, an index, second, “least likely”, random, or any other."),
    ] = links.ANYTHING,
    attack: Annotated[
        str | None,
        typer.Option(help="As listed by python -m app attacks; default: the page's, as set."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="One of the attack's settings.")
    ] = None,
    out: OutFolder = None,
    finish: Finish = True,
    force: Force = False,
    model: ModelName = None,
    networks: evaluate.Models = None,
    several: evaluate.Attacks = None,
    epsilons: evaluate.Epsilons = None,
    labels: evaluate.Labels = None,
    pictures: evaluate.Pictures = True,
    as_is: AsIs = False,
    as_json: AsJson = False,
    **fields: str | bool | None,
) -> None:
    """Run an attack on an image; write images, curve and result, and say what the files are read as. Of a
    folder, or with several attacks, models or budgets: write a table with a row for each picture, a summary
    and a page; called again with the same arguments it goes on where it was broken off."""
    given, stated = dict(map(_pair, settings or [])), texts(fields)
    grid = evaluate.Grid(image, networks or model, several or attack, epsilons, target, given, stated)
    if Path(image).is_dir() or networks or several or epsilons or labels:
        folder = out or OUT / f"{_slug(Path(image).resolve().stem)}-table"
        evaluate.run(grid, labels, evaluate.Saving(folder, pictures, force, as_json), as_is=as_is)
        return
    query = {"model": model, "attack": attack, "target": target} | stated
    link = links.checked(query | given)
    run(link, image, Output(out, finish, force, as_json), as_is=as_is)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise FoolscopeError(f"Expected --set NAME=VALUE, got “{text}”.")
    return name, value


@dataclass(frozen=True)
class Output:
    """What is written and printed: into which folder (None: a new one), whether the pictures are finished on
    the grid of 8 bits, whether a result that is there is replaced, whether the result is printed as JSON."""

    folder: Path | None
    finish: bool = True
    force: bool = False
    as_json: bool = False

    def check(self) -> None:
        """Raise `errors.FoolscopeError` where the folder holds a result that is to stay."""
        if self.folder and not self.force and (self.folder / report.RESULT).exists():
            raise FoolscopeError(
                f"Expected a folder without a result, got {self.folder}: choose another, or add --force."
            )


def run(link: links.Link, image: str, output: Output, *, as_is: bool) -> None:
    """Carry out the link's recipe on ``image``, write its files and print what they are read as.

    Raises `errors.FoolscopeError`.
    """
    output.check()
    engine = chosen()
    try:
        prepare = models.card(link.recipe.model).reads_digits and not as_is
        recipe = _aimed(engine, replace(link.recipe, image=_image(engine, image, prepare)), link.target)
        carry_out(engine, recipe, image, output)
    finally:
        engine.close()


def carry_out(engine: EngineBase, recipe: Recipe, image: str, output: Output) -> None:
    """Run ``recipe``, write its files and print what they are read as; ``image``: what the person called
    the picture."""
    finished = _follow(engine, recipe, quiet=output.as_json)
    folder = output.folder or new_folder(image, _goal(recipe))
    named = PREPARED * recipe.image.startswith(PREPARED) + image.removeprefix(PREPARED)
    result = report.write(engine, finished, folder, named, output.finish)
    if output.as_json:
        print(json.dumps(result | {"folder": str(folder)}, ensure_ascii=False, indent=1))
        return
    print(finished.sentence(), f"Written to {folder}.")
    for name, (field, _) in report.SAVED.items():
        if saved := result.get(field):
            fooled = "fooled" if saved["success"] else "not fooled"
            print(f"{name}: {saved['label']} {saved['probability']:.0%} ({fooled})")


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


def _aimed(engine: EngineBase, recipe: Recipe, wanted: str | None) -> Recipe:
    """Return the recipe with the class that ``wanted`` names by its rank, if it does."""
    target = ranked_target(wanted or "")
    if target is None:
        return recipe
    ranking = engine.classify(recipe.model, recipe.image, recipe.crop)
    return replace(recipe, target=class_by_rank(target, ranking, random.Random(recipe.seed)))


def _follow(engine: EngineBase, recipe: Recipe, quiet: bool) -> Run:
    """Return the finished run of ``recipe``, shown on the way as a bar; ``quiet``: on a terminal alone."""
    run = engine.submit(recipe)
    with tqdm(total=run.total, unit="step", disable=None if quiet else False) as bar:
        for index in engine.follow(run):
            bar.update(index - bar.n)
            best = run.top(index, 1)[0]
            bar.set_postfix_str(f"{best.label} {best.probability:.0%}")
    if run.status != "finished":
        raise FoolscopeError(run.sentence())
    return run


def _image(engine: EngineBase, name: str, prepare: bool) -> str:
    """Return the name of a sample as it is, or the name that a file's image has in the engine; "mnist:"
    stands before it where dark writing is prepared as MNIST does, which the person may write too."""
    if name in samples():
        return name
    path, prepared = name.removeprefix(PREPARED), name.startswith(PREPARED)
    token = engine.uploads.add(read_bytes(path), path)
    for template, facts in engine.notes(token):
        print(f"{path}: {template.format(**facts)}", file=sys.stderr)
    if prepared:
        return PREPARED + token
    if not prepare or not dark_on_light(engine.picture(token)):
        return token
    print(PREPARED_NOTE, file=sys.stderr)
    return PREPARED + token
