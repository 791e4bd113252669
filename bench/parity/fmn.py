"""FMN beside foolbox and adv_lib, norm by norm."""

from __future__ import annotations

from attacks.fmn import FMN
from bench.parity import _smallest as smallest

FOOLBOX = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack", "l1": "L1FMNAttack", "l0": "L0FMNAttack"}
ORDER = {"linf": float("inf"), "l2": 2, "l1": 1, "l0": 0}
BOX = (
    "our radius grows where the estimate falls short, and a step ends at the nearest picture in box and ball"
)
BALL = f"{BOX}; our ball shrinks to the linear estimate"
WHY = {"linf": BOX, "l2": BALL, "l1": f"{BALL}; once across, our steps are longer", "l0": BALL}
BROKEN = "its l2 projection does not project"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    found: list[dict[str, object]] = []
    for targeted in (False, True):
        for norm in ORDER:
            what, ours = f"{norm}, 100 steps, gamma 0.05", FMN(norm=norm)
            finder = smallest.foolbox(FOOLBOX[norm], steps=100)
            why = BROKEN if norm == "l2" else WHY[norm]
            found += smallest.compare("foolbox", what, ours, finder, targeted, norm, why)
            finder = smallest.adv_lib("fmn", norm=ORDER[norm], steps=100)
            found += smallest.compare("adv_lib", what, ours, finder, targeted, norm, WHY[norm])
    return found
