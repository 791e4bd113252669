"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

ModelName = Annotated[
    str | None, typer.Option("--model", help="As listed by python -m app models; default: the page's first.")
]
CropText = Annotated[
    str | None,
    typer.Option("--crop", metavar="X,Y,SIZE", help="Square that the model sees, as fractions."),
]
AsIs = Annotated[
    bool,
    typer.Option(
        "--as-is",
        help="For a model that reads digits: do not prepare dark writing as MNIST does, light on black and "
        "centred.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
