"""The experiments on the command line: ``python -m experiments NAME --out FILE``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm

import console
import experiments
import settings
from engine.chosen import chosen
from errors import FoolscopeError
from experiments.cache import Store, cache
from experiments.core import AnyExperiment, Result, dump
from experiments.datasets.mnist import fetch
from experiments.work import walked


def listing() -> list[dict[str, object]]:
    """Return what ``--json`` prints: every experiment with its card and settings."""
    return [
        {
            "name": name,
            "title": kind.card.title,
            "question": kind.card.question,
            "paper": kind.card.paper,
            "source": kind.card.source,
            "settings": {s.name: s.default for s in kind.settings()},
        }
        for name, kind in experiments.registry().items()
    ]


def parse(arguments: list[str]) -> tuple[argparse.Namespace, AnyExperiment | None]:
    """Return the options and the experiment that they describe; exits with a sentence when they do not."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("--json", action="store_true", help="list the experiments as JSON")
    parser.add_argument("--download", action="store_true", help="fetch MNIST first (11 MB)")
    subs = parser.add_subparsers(dest="name", metavar="NAME")
    named = experiments.alone(arguments[0]) if arguments else None  # without a second for all the others
    for name, kind in ({arguments[0]: named} if named else experiments.registry()).items():
        sub = subs.add_parser(name, help=kind.card.question, description=kind.card.question)
        sub.add_argument("--data", default="", help="the folder that holds mnist/")
        sub.add_argument("--out", type=Path, help="where the result is written; else it is printed")
        sub.add_argument("--cache", type=Path, default=cache(), help="where pieces are kept (%(default)s)")
        for item in kind.settings():
            sub.add_argument(f"--{item.name.replace('_', '-')}", dest=item.name, help=item.help)
    options = parser.parse_args(arguments)
    if not options.name:
        return options, None
    kind, given = experiments.get(options.name), vars(options)
    chosen = {s.name: s.parse(given[s.name]) for s in kind.settings() if given[s.name] is not None}
    return options, kind(data=options.data, **chosen)


def main(arguments: list[str]) -> int:
    """Run what the arguments ask for; return the exit status."""
    try:
        options, experiment = parse(arguments)
        if options.download:
            print(f"MNIST is in {_download()}")
        if experiment is None:
            print(json.dumps(listing(), indent=1))
            return 0
        text = json.dumps(_carry_out(experiment, Store(options.cache)), indent=1)
    except FoolscopeError as error:
        print(error, file=sys.stderr)
        return 2
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)
    return 0


def _download() -> Path:
    """Fetch MNIST with a progress bar, unless it is there."""
    with tqdm(desc="MNIST", unit="B", unit_scale=True) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return fetch(show)


def _carry_out(experiment: AnyExperiment, store: Store) -> object:
    with _replicas(experiment), tqdm(desc=experiment.card.title, unit="stage") as bar:
        for at in walked(experiment, store):
            if isinstance(at, Result):
                return dump(at)
            bar.total, bar.n = at.total, at.done
            bar.set_postfix_str(at.stage)
    raise AssertionError("walk ends with a result")


@contextmanager
def _replicas(experiment: AnyExperiment) -> Iterator[None]:
    """Have replicas carry out an experiment where `settings.engine` names them, unless its data is here."""
    if not settings.engine() or experiment.data:
        yield
        return
    with closing(chosen()):
        yield


if __name__ == "__main__":
    raise SystemExit(console.run(partial(main, sys.argv[1:])))
