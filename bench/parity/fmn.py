"""FMN beside foolbox and adv_lib, norm by norm."""

from __future__ import annotations

from attacks.fmn import FMN
from bench.parity import _smallest as smallest

FOOLBOX = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack", "l1": "L1FMNAttack", "l0": "L0FMNAttack"}
ORDER = {"linf": float("inf"), "l2": 2, "l1": 1, "l0": 0}
BALL = "our ball shrinks to the linear estimate, and a step ends at the nearest picture in box and ball"
LONGER = f"{BALL}; once across, our steps are longer"
BROKEN = "its l2 projection does not project"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    found: list[dict[str, object]] = []
    for targeted in (False, True):
        for norm in ORDER:
            what, ours = f"{norm}, 100 steps, gamma 0.05", FMN(norm=norm)
            finder = smallest.foolbox(FOOLBOX[norm], steps=100)
            why = LONGER if norm == "l1" else BALL
            broken = BROKEN if norm == "l2" else why
            found += smallest.compare("foolbox", what, ours, finder, targeted, norm, broken)
            finder = smallest.adv_lib("fmn", norm=ORDER[norm], steps=100)
            found += smallest.compare("adv_lib", what, ours, finder, targeted, norm, why)
    return found
