"""Where a run stands, in words: a template and the facts for its ``{places}``, as `str.format` takes them.

The two travel apart, so that a page can say the same in its reader's language; every template is literal
English and one of `templates`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING

import attacks

if TYPE_CHECKING:
    from engine.run import Run

Said = tuple[str, Mapping[str, str | int]]
"""A template, and its facts by name."""

UNMET = "; the network was not fooled"
ALWAYS = {
    "waiting": "Waiting for the network.",
    "running": "Running.",
    "paused": "Paused at step {steps}.",
    "cancelled": "Stopped by hand at step {steps}.",
    "unwatched": "Paused at step {steps} while nobody was watching; it goes on now.",
    "abandoned": "Stopped at step {steps}: nobody was watching for half an hour.",
    "interrupted": "The server stopped while the run was at step {steps}.",
}
TARGETED = {
    "success": "Stopped at step {steps}: the network says {goal}.",
    "row": "Stopped at step {steps}: {times} times in a row the network says {goal}.",
    "probability": "Stopped at step {steps}: {goal} passed {percent} %.",
}
UNTARGETED = {
    "success": "Stopped at step {steps}: the network no longer says {original}.",
    "row": "Stopped at step {steps}: {times} times in a row the network no longer says {original}.",
    "probability": "Stopped at step {steps}: {original} fell to {percent} %.",
}
ERROR, FAILED = "{error}", "The run failed."


def said(run: Run) -> Said:
    """Return why ``run`` stopped, or what it is doing; what an error says stays one fact, in English."""
    original, steps, at = run.labels[run.original], max(len(run) - 1, 0), run.recipe.stop.at
    target = run.recipe.target
    facts: dict[str, str | int] = {"steps": steps, "original": original, "times": run.recipe.stop.times}
    facts["percent"] = f"{100 * (1 - at if target is None else at):.4g}"
    facts |= {} if target is None else {"goal": run.labels[target]}
    facts |= {"error": run.error} if run.error else {}
    return _template(run, run.reason or run.status, bool(steps and run.succeeded(steps))), facts


def _template(run: Run, reason: str, met: bool) -> str:
    if reason == "failed":
        return ERROR if run.error else FAILED
    if run.dead_end:
        return _over(run.dead_end, met)
    if reason in ("steps", "ended"):
        return _over(attacks.get(run.recipe.attack).ends if reason == "ended" else "", met)
    return (ALWAYS | (UNTARGETED if run.recipe.target is None else TARGETED))[reason]


def _over(ends: str, met: bool) -> str:
    head = f"Ended at step {{steps}}: {ends}" if ends else "All {steps} steps are done"
    return f"{head}{'' if met else UNMET}."


def templates() -> set[str]:
    """Return every template that `said` may give."""
    kinds = attacks.registry().values()
    ends = {kind.ends for kind in kinds} | {""}
    dead = {_over(end, False) for kind in kinds for end in kind.dead_ends}
    over = {_over(end, met) for end, met in product(ends, (True, False))}
    return {*ALWAYS.values(), *TARGETED.values(), *UNTARGETED.values(), *over, *dead, ERROR, FAILED}
