"""Compute the runs that ship and write them to ``assets/runs``: ``python -m app.shipped_runs [NAME ...]``."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

import console
import settings
from app.shipped_recipes import recipes
from engine import saved
from engine.engine import Engine
from errors import FoolscopeError


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    ready = recipes()
    parser = argparse.ArgumentParser(prog="python -m app.shipped_runs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(ready)}")
    chosen = parser.parse_args(arguments).names or list(ready)
    engine = Engine()
    try:
        for name in tqdm(chosen, unit="run"):
            run = engine.submit(ready[name])
            *_, _ = engine.follow(run)
            saved.write(run, settings.RUNS / f"{name}.npz", 1 if name.startswith("race") else 2)
            print(f"{name}: {run.top(len(run) - 1)[0].label}, {run.sentence()}")
    except (FoolscopeError, KeyError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        engine.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(console.run(main))
