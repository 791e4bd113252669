"""Options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.recipe import FIELDS

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="As listed by python -m app models, or a+b: several as one (a+b@worst: every one is to be "
        "fooled); default: the page's first.",
    ),
]
Text = str | None
"""What an option of a recipe's field says; None where it was not given."""
OPTIONS: dict[str, Any] = {
    field.name: Annotated[
        bool if field.option.flag else Text,
        typer.Option(
            f"--{field.name.replace('_', '-')}", metavar=field.option.metavar, help=field.option.help
        ),
    ]
    for field in FIELDS
    if field.option
}
"""The types of the parameters that are options of a recipe's fields, by the fields' names."""
AsIs = Annotated[
    bool,
    typer.Option(
        "--as-is",
        help="For a model that reads digits: do not prepare dark writing as MNIST does, light on black and "
        "centred.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
OutFolder = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Folder for what is written; default: a new one in foolscope-out."
    ),
]
Finish = Annotated[
    bool, typer.Option(help="Make the written pictures hold in 8 bits, where rounding undoes them.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a result that is in the folder.")]


def recipe_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command, for its parameter ``**fields``, the options of the recipe's fields of those names;
    without names, of all fields that have one. `texts` makes texts of what it gets."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            p
            for p in inspect.signature(command, eval_str=True).parameters.values()
            if p.kind is not p.VAR_KEYWORD
        ]
        hints = {name: OPTIONS[name] for name in names or OPTIONS}
        added = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if _is_flag(name) else None,
                annotation=hint,
            )
            for name, hint in hints.items()
        ]
        command.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
        command.__annotations__ |= hints
        return command

    return decorate


def texts(fields: Mapping[str, str | bool | None]) -> dict[str, str | None]:
    """Return what options say as an address would say it: a flag that was given is its field's True."""
    by_name = {field.name: field for field in FIELDS}
    return {
        name: (by_name[name].text(True) if value else None) if isinstance(value, bool) else value
        for name, value in fields.items()
    }


def _is_flag(name: str) -> bool:
    return any(field.name == name and field.option and field.option.flag for field in FIELDS)
