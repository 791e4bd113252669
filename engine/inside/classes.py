"""The two classes that a look inside a run is about."""

from __future__ import annotations

from engine.run import Run


def other_class(run: Run, step: int) -> int:
    """Return the class beside the original one: the target; without a target what the network says at
    ``step``, or at the last step, unless that is the original class; else the most probable other one."""
    if run.recipe.target is not None:
        return run.recipe.target
    for at in (step, len(run) - 1):
        (best,) = run.top(at, 1)
        if best.index != run.original:
            return best.index
    return next(one.index for one in run.top(step, 2) if one.index != run.original)
