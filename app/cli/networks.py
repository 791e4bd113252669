"""``python -m app models add | show | remove``: networks of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from engine.admission.admit import add as admit
from errors import BadSetting
from models import __main__ as listing
from models.added import shelf
from models.added.record import AddedModel, Request
from models.added.words import BETWEEN

ACTIONS = ("add", "show", "remove")
STAGE = "{desc} {elapsed}"
"""How progress looks where no bytes are counted."""
MARKS = {"fine": "ok  ", "note": "note", "refused": "no  "}
program = typer.Typer(help="Networks of one's own.", add_completion=False, rich_markup_mode=None)


@program.command()
def add(
    name: Annotated[str, typer.Argument(help="What the network is to be called.")],
    source: Annotated[str, typer.Option(help="KIND:REST, such as torchvision:resnet34; see docs/models.md.")],
    weights: Annotated[Path | None, typer.Option(help="A file of weights.")] = None,
    labels: Annotated[Path | None, typer.Option(help="A file with a label on every line.")] = None,
    input: Annotated[int | None, typer.Option(min=1, max=4096, help="Side of the input in pixels.")] = None,
    mean: Annotated[str | None, typer.Option(help="One number a channel, such as .5,.5,.5.")] = None,
    std: Annotated[str | None, typer.Option(help="One number a channel, above 0.")] = None,
    bgr: Annotated[
        bool, typer.Option("--bgr", help="It takes blue, green, red; so are --mean, --std.")
    ] = False,
    words: Annotated[str | None, typer.Option(help="Of a CLIP: its classes, such as 'cat;toaster'.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="In place of one of that name.")] = False,
) -> None:
    """Read a network, check it, and keep it for the page and all commands."""
    numbers = _numbers("mean", mean), _numbers("std", std)
    own = tuple(words.split(BETWEEN)) if words else ()
    request = Request(
        name, source, weights, labels, input, *numbers, trusted=True, reversed_channels=bgr, words=own
    )
    with tqdm(unit="B", unit_scale=True, leave=False, bar_format=STAGE) as bar:

        def show(done: int, total: int) -> None:
            bar.total, bar.bar_format = total or None, None
            bar.update(done - bar.n)

        def stage(name: str) -> None:
            bar.bar_format = STAGE
            bar.set_description_str(name)

        added = admit(request, show, stage, replace=replace)
    print(described(added))


@program.command()
def show(name: Annotated[str, typer.Argument(help="A network that was added.")]) -> None:
    """Print what is known of an added network, and what was checked."""
    print(described(shelf.get(name)))


@program.command()
def remove(name: Annotated[str, typer.Argument(help="A network that was added.")]) -> None:
    """Remove an added network with its files."""
    shelf.remove(name)
    print(f"{name} is removed.")


def described(added: AddedModel) -> str:
    """Return what is known of an added network as lines for a terminal."""
    own = added.input
    lines = [
        f"{added.name}: {added.title}, from {added.source}",
        f"{len(added.labels):,} classes, {own.width} x {own.height} x {own.channels}, "
        f"{added.parameters:,} parameters",
        *(f"{MARKS[result.verdict]}  {result}" for result in added.checks),
    ]
    return "\n".join(lines)


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """Return the numbers in a text with commas; raises `errors.BadSetting`."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise BadSetting(f"Expected --{option} to be numbers with commas between, got “{text}”.") from error


def main(arguments: list[str] | None = None) -> int:
    """Carry out add, show or remove; hand everything else to ``python -m models``. Return the exit status."""
    given = list(arguments or [])
    if not given or given[0] not in ACTIONS:
        return listing.main(given)
    command = typer.main.get_command(program)
    with command.make_context("python -m app models", given) as context:
        command.invoke(context)
    return 0
