"""DDN beside foolbox and adv_lib."""

from __future__ import annotations

from attacks.ddn import DDN
from bench.parity import _smallest as smallest

LEVELS = "it rounds every step to 256 levels"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    found: list[dict[str, object]] = []
    for targeted in (False, True):
        for steps in (30, 100):
            what, ours = f"l2, {steps} steps, first length 1, gamma 0.05", DDN(steps=steps)
            finder = smallest.foolbox("DDNAttack", steps=steps)
            found += smallest.compare("foolbox", what, ours, finder, targeted)
            finder = smallest.adv_lib("ddn", steps=steps, levels=None)
            found += smallest.compare("adv_lib", f"{what}, no levels", ours, finder, targeted)
        what, finder = "l2, 100 steps, 256 levels there", smallest.adv_lib("ddn", steps=100)
        found += smallest.compare("adv_lib", what, DDN(), finder, targeted, differs=LEVELS)
    return found
