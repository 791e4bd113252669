"""``python -m app``: one command line for all that the program does without a browser.

A command is the function ``command`` of a module, which Typer turns into options, or the function ``main`` of
a program that reads its arguments itself. Modules are imported when they are called for: torch takes seconds.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import typer

from errors import FoolscopeError

REFUSED = 2
"""Exit status of every refusal."""
FREE = {"ignore_unknown_options": True, "allow_extra_args": True}


class Command(NamedTuple):
    """Where a command is, and what it does. ``own``: it is a program that reads its arguments itself."""

    module: str
    help: str
    own: bool = True


COMMANDS = {
    "run": Command("app.cli.serve", "Serve the page; further options are Streamlit's."),
    "room": Command("app.cli.room", "Serve this machine's network, and open a room for a class."),
    "serve": Command("app.cli.replicas", "Serve replicas of the engine, for pages elsewhere.", own=False),
    "classify": Command("app.cli.classify", "Print what a model sees in images.", own=False),
    "attack": Command("app.cli.attack", "Run an attack and write what it finds.", own=False),
    "replay": Command("app.cli.replay", "Run again what a picture's recipe says.", own=False),
    "attacks": Command("attacks.__main__", "List the attacks and their settings."),
    "models": Command("app.cli.networks", "List the models, fetch weights; add, show, remove your own."),
    "experiments": Command("experiments.__main__", "List the experiments, or carry one out."),
    "train": Command("app.cli.training", "Train again what the program ships."),
    "rehearse": Command("bench.rehearse", "Rehearse a lesson in a room with simulated students.", own=False),
    "bench": Command("bench.__main__", "Measure the program on this machine."),
    "docs": Command("app.documents", "Write the tables of the documents from the code."),
}


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command line; return its exit status: 0, `REFUSED` after one sentence on what was refused,
    or another that the command's own help explains."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    program = typer.main.get_command(_program(given[0] if given else ""))
    try:
        # Not called whole: it would take a reader who left for a failure; `console.run` knows better.
        with program.make_context("python -m app", given) as context:
            program.invoke(context)
        return 0
    except typer.Exit as end:
        return end.exit_code
    except typer.TyperException as error:
        print(f"{getattr(error, 'message', error)} See python -m app --help.", file=sys.stderr)
        return REFUSED
    except FoolscopeError as error:
        print(error, file=sys.stderr)
        return REFUSED


def _program(called: str) -> typer.Typer:
    """Return the program with all commands, of which the one that is ``called`` is imported."""
    program = typer.Typer(help="Foolscope without a browser.", add_completion=False, rich_markup_mode=None)
    program.callback(no_args_is_help=True)(lambda: None)
    for name, about in COMMANDS.items():
        if name != called or about.own:
            hand_over = _handing_over(about.module)
            program.command(name, help=about.help, context_settings=FREE, add_help_option=False)(hand_over)
        else:
            program.command(name)(importlib.import_module(about.module).command)
    return program


def _handing_over(module: str) -> Callable[[typer.Context], None]:
    """Return a command that hands all its arguments to the ``main`` of ``module``."""

    def hand_over(context: typer.Context) -> None:
        raise typer.Exit(importlib.import_module(module).main(context.args) or 0)

    return hand_over
