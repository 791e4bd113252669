"""Foolscope without a browser: ``python -m app classify`` and ``python -m app attack``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from errors import FoolscopeError


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    classify = commands.add_parser("classify", help="say what a network sees in a picture")
    attack = commands.add_parser("attack", help="run an attack and write what it found")
    for each in (classify, attack):
        each.add_argument("image", help="a file, or the name of a sample (cat, black, ...)")
        each.add_argument("--model", default="photos", help="as listed by python -m models")
        each.add_argument("--crop", metavar="X,Y,SIZE", help="square that the network sees, as fractions")
        each.add_argument("--json", action="store_true", help="print the result as JSON")
    attack.add_argument("--attack", default="pgd", help="as listed by python -m attacks")
    attack.add_argument("--target", help="class to reach (label or index); default: anything else")
    attack.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="one of the attack's settings"
    )
    attack.add_argument(
        "--stop", default="steps", help="steps, success, a probability such as 0.95, or 5x: so often in a row"
    )
    attack.add_argument(
        "--region", metavar="LEFT,TOP,RIGHT,BOTTOM", help="only this part may change, as fractions"
    )
    attack.add_argument("--seed", default="0", help="of everything random")
    attack.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for pictures, curve and result"
    )
    return top


def query(options: argparse.Namespace, image: str) -> dict[str, str]:
    """Return the command line as the query of a link, so that both are read by the same code."""
    found = {"model": options.model, "image": image}
    found |= {"crop": options.crop} if options.crop else {}
    if options.command == "attack":
        found |= {"attack": options.attack, "stop": options.stop, "seed": options.seed}
        found |= {"target": options.target} if options.target else {}
        found |= {"region": options.region} if options.region else {}
        found |= dict(_pair(text) for text in options.set)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after printing one sentence on what was refused."""
    options = parser().parse_args(arguments)
    try:
        result = _carry_out(options)
    except FoolscopeError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result, ensure_ascii=False, indent=1))
    return 0


def _carry_out(options: argparse.Namespace) -> dict[str, Any]:
    from components import share
    from engine.engine import Engine

    engine = Engine()
    try:
        # Names are looked up before a network is loaded, so that a typo is told at once.
        link = share.read(query(options, "cat"))
        if link.problems:
            raise link.problems[0]
        image = _image(engine, options.image)
        recipe = share.read(query(options, image)).recipe
        return (
            _classify(engine, recipe, options)
            if options.command == "classify"
            else _attack(engine, recipe, options)
        )
    finally:
        engine.close()


def _classify(engine: Any, recipe: Any, options: argparse.Namespace) -> dict[str, Any]:
    top = engine.classify(recipe.model, recipe.image, recipe.crop)[:5]
    if not options.json:
        for outcome in top:
            print(f"{100 * outcome.probability:6.2f} %  {outcome.label}")
    return {"top": [{"label": o.label, "probability": o.probability} for o in top]}


def _attack(engine: Any, recipe: Any, options: argparse.Namespace) -> dict[str, Any]:
    from tqdm import tqdm

    from components import report

    run = engine.submit(recipe)
    with tqdm(total=run.total, unit="step", disable=None if options.json else False) as bar:
        for index in engine.stream(run):
            bar.update(index - bar.n)
            best = run.top(index, 1)[0]
            bar.set_postfix_str(f"{best.label} {best.probability:.0%}")
    if run.status != "finished":
        raise FoolscopeError(run.sentence())
    result = report.write(engine, run, options.out, options.image)
    if not options.json:
        print(run.sentence(), f"Written to {options.out}.")
    return result


def _image(engine: Any, name: str) -> str:
    """Return the name of a sample as it is, or the id under which a file's picture is kept."""
    from engine.images import read_bytes, samples

    if name in samples():
        return name
    return str(engine.uploads.add(read_bytes(Path(name)), name))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise FoolscopeError(f"Expected --set NAME=VALUE, got “{text}”.")
    return name, value


if __name__ == "__main__":
    raise SystemExit(main())
