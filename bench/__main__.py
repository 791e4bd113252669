"""``python -m app bench [NAME ...]``: measure, print a table, keep it in this folder."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

import console
import models
import settings
from bench import (
    crowd,
    exports,
    first_network,
    inside,
    labs,
    replicas,
    room,
    scale,
    step_costs,
    steps,
    survivors,
    watched,
)
from bench.figures import Figure, keep, machine, table
from engine.engine import Engine


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    made.add_argument("names", nargs="*", help="what to measure, by the names of --only; default: all")
    made.add_argument("--model", default=models.FIRST, help="network for steps that take a while")
    made.add_argument("--fast", default="lenet", help="network whose steps are faster than the screen")
    made.add_argument("--steps", type=int, default=200, help="steps of a measured run")
    made.add_argument("--repeats", type=int, default=7, help="how often each ratio is taken")
    made.add_argument(
        "--only",
        default="",
        help="the same, with commas between: first, steps, engine, sharing, classify, stop, watched, "
        "updates, traffic, watchers, start, exports, labs, survivors, replicas, spread, inside",
    )
    made.add_argument("--photos", type=int, default=26, help="photos of FOOLSCOPE_DATA for exports")
    made.add_argument("--dry", action="store_true", help="print only, keep nothing")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for, in a process whose memory is a server's; figures in the browser come before
    those that load both cores."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["room"]:
        return room.main(given[1:])
    if given[:1] == ["scale"]:
        return scale.main(given[1:])
    options = parser().parse_args(arguments)
    if any(name not in os.environ for name in settings.MEMORY):
        return subprocess.call(
            [sys.executable, "-m", "bench", *given], cwd=settings.ROOT, env=settings.of_a_server()
        )
    about = machine()
    found: list[Figure] = []
    wanted = {*options.names, *filter(None, options.only.split(","))}
    for name, measure in measurements(options).items():
        if name in wanted or not wanted:
            figures = measure()
            found += figures
            print(table(figures), flush=True)
    print("\n" + table(found))
    if not options.dry:
        keep(found, about)
    return 0


def measurements(options: argparse.Namespace) -> dict[str, Callable[[], Sequence[Figure]]]:
    """Return every measurement by name, each to be made on its own."""
    model, fast, many, repeats = options.model, options.fast, options.steps, options.repeats

    def alone(measure: Callable[[Engine], Sequence[Figure]]) -> Sequence[Figure]:
        engine = Engine()
        try:
            return measure(engine)
        finally:
            engine.close()

    def seen(measure: Callable[[watched.Window], Sequence[Figure]], apart: bool = False) -> Sequence[Figure]:
        with watched.window(apart) as here:
            return measure(here)

    def watching(engine: Engine) -> Sequence[Figure]:
        return [
            each
            for apart in (True, False)
            for each in seen(lambda w: watched.watching(w, engine, model, many, repeats), apart)
        ]

    return {
        "start": lambda: [watched.starting(min(repeats, 5))],
        "first": lambda: first_network.step_cost(10 * repeats),
        "steps": lambda: alone(lambda e: step_costs.step_costs(e, min(many, 20), repeats)),
        "engine": lambda: alone(lambda e: [steps.overhead(e, model, many, repeats)]),
        "watched": lambda: alone(watching),
        "updates": lambda: seen(lambda w: [watched.moving(w, fast, min(repeats, 3))]),
        "traffic": lambda: seen(lambda w: watched.traffic(w, fast)),
        "stop": lambda: alone(lambda e: [steps.stopping(e, model, 20)]),
        "watchers": lambda: seen(lambda w: [crowd.watchers(w, model, min(repeats, 3))]),
        "classify": lambda: alone(lambda e: [steps.classifying(e, model, 64, repeats)]),
        "sharing": lambda: alone(lambda e: [steps.sharing(e, model, many // 4, repeats)]),
        "survivors": lambda: alone(lambda e: [*survivors.survivors(e, model)]),
        "exports": lambda: exports.measured(options.photos),
        "labs": lambda: [*labs.tables(), *labs.path()],
        "replicas": lambda: [
            *replicas.followed_there(model, many, repeats),
            *replicas.seen(model, many, repeats),
        ],
        "inside": lambda: alone(lambda e: inside.looked_at(e, model, many, min(repeats, 5))),
        "spread": lambda: replicas.spreads(model, min(many, 20)),
    }


if __name__ == "__main__":
    raise SystemExit(console.run(main))
