"""``python -m app replay``: the run that a picture carries, once more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.attack import Output, carry_out
from app.cli.options import AsJson, Finish, Force, OutFolder
from engine.chosen import chosen
from engine.export.restore import restore
from engine.images.sources import read_bytes
from errors import BadRecipe


def command(
    file: Annotated[Path, typer.Argument(help="A picture that Foolscope wrote.")],
    original: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The untouched picture, if it is no sample.")
    ] = None,
    out: OutFolder = None,
    finish: Finish = True,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Run once more what a picture's recipe says, on its original where that is at hand."""
    output = Output(out, finish, force, as_json)
    output.check()
    engine = chosen()
    try:
        dropped = engine.uploads.add(read_bytes(file), file.name)
        carried = engine.uploads.carried(dropped)
        if carried is None:
            notes = [template.format(**facts) for template, facts in engine.notes(dropped)]
            raise BadRecipe(" ".join([f"Expected a picture with a recipe, got {file} without one.", *notes]))
        own = [engine.uploads.add(read_bytes(original), original.name)] if original else []
        restored = restore(engine, carried, dropped, own)
        template, facts = restored.note
        print(template.format(**facts), file=sys.stderr)
        named = (
            restored.recipe.image if restored.recipe.image not in (dropped, *own) else str(original or file)
        )
        carry_out(engine, restored.recipe, named, output)
    finally:
        engine.close()
