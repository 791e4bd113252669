"""DeepFool beside foolbox, adv_lib, torchattacks and ART."""

from __future__ import annotations

from attacks.deepfool import DeepFool
from bench.parity import _smallest as smallest

EACH_STEP = "it overshoots each step from the picture before instead of the whole way"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    what, ours = "l2, 50 steps, overshoot 0.02", DeepFool()
    return [
        *smallest.compare(
            "foolbox", what, ours, smallest.foolbox("L2DeepFoolAttack", steps=50, overshoot=0.02), False
        ),
        *smallest.compare(
            "adv_lib",
            what,
            ours,
            smallest.adv_lib("df", steps=50, overshoot=0.02),
            False,
            differs=EACH_STEP,
        ),
        *smallest.compare(
            "torchattacks",
            what,
            ours,
            smallest.torchattack("DeepFool", steps=50, overshoot=0.02),
            False,
            differs=EACH_STEP,
        ),
        *smallest.compare(
            "adv_lib",
            f"{what}, ours overshooting each step too",
            DeepFool(each_step=True),
            smallest.adv_lib("df", steps=50, overshoot=0.02),
            False,
        ),
    ]
