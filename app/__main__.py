"""Foolscope without a browser: ``python -m app classify`` and ``python -m app attack``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import console
from app.cli import attack, classify
from engine import links
from errors import FoolscopeError


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    classify = commands.add_parser("classify", help="say what a network sees in pictures")
    classify.add_argument(
        "images",
        nargs="+",
        metavar="image",
        help="a file, a folder (every picture in it and below), or the name of a sample (cat, black, ...)",
    )
    attack = commands.add_parser("attack", help="run an attack and write what it found")
    attack.add_argument("image", help="a file, or the name of a sample (cat, black, ...)")
    for command in (classify, attack):
        command.add_argument("--model", help="as listed by python -m models; default: the page's first")
        command.add_argument("--crop", metavar="X,Y,SIZE", help="square that the network sees, as fractions")
        command.add_argument(
            "--as-is",
            action="store_true",
            help="for a network that reads digits: do not prepare dark writing as MNIST does, light on black "
            "and centred",
        )
    classify.add_argument("--json", action="store_true", help="print one line of JSON for each picture")
    _add_attack_options(attack)
    return top


def _add_attack_options(attack: argparse.ArgumentParser) -> None:
    attack.add_argument("--json", action="store_true", help="print the result as JSON")
    attack.add_argument("--attack", help="as listed by python -m attacks; default: the page's, as set there")
    attack.add_argument(
        "--target",
        help="class to reach: a label, an index, second, “least likely” or random; default: anything else",
    )
    attack.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one of the attack's settings"
    )
    attack.add_argument(
        "--stop",
        help="steps, success, a probability such as 0.95, or 5x: so often in a row; default: the page's",
    )
    attack.add_argument(
        "--region", metavar="LEFT,TOP,RIGHT,BOTTOM", help="only this part may change, as fractions"
    )
    attack.add_argument("--seed", default="0", help="of everything random, a random target too")
    attack.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for pictures, curve and result; default: a new one in foolscope-out",
    )


def query(options: argparse.Namespace) -> dict[str, str]:
    """Return the command line as the query of a link, so that both are read by the same code; what was not
    said has the page's default, but for the target, which is then anything else."""
    parts = {"model": options.model, "crop": options.crop}
    if options.command == "attack":
        parts |= {name: getattr(options, name) for name in ("attack", "stop", "seed", "region")}
        parts |= {"target": options.target or "any"} | dict(_pair(text) for text in options.set)
    return {name: text for name, text in parts.items() if text is not None}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after printing one sentence on what was refused (`classify` has
    a 1 as well)."""
    options = parser().parse_args(arguments)
    try:
        return _carry_out(options)
    except FoolscopeError as error:
        print(error, file=sys.stderr)
        return 2


def _carry_out(options: argparse.Namespace) -> int:
    """Names are looked up before a network is loaded, so that a typo is told at once."""
    link = links.read(query(options))
    if link.problems:
        raise link.problems[0]
    if options.command == "classify":
        return classify.run(link, options)

    return attack.run(link, options)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise FoolscopeError(f"Expected --set NAME=VALUE, got “{text}”.")
    return name, value


if __name__ == "__main__":
    raise SystemExit(console.run(main))
