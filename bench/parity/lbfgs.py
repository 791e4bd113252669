"""L-BFGS beside scipy's L-BFGS-B: the same objective, weights and order of weights, one picture at a time."""

from __future__ import annotations

import importlib.metadata

from attacks.contract import Criterion
from attacks.lbfgs import LBFGS
from bench.lbfgs import batched, serial
from bench.parity import _curved as curved


def rows() -> list[dict[str, object]]:
    """Return the comparisons."""
    return [_row(f"scipy {importlib.metadata.version('scipy')}", targeted) for targeted in (False, True)]


def _row(name: str, targeted: bool) -> dict[str, object]:
    """Return the largest part by which our perturbation of any picture is longer (negative: none is)."""
    net, x, criterion = curved.case(targeted)
    attack = LBFGS()
    met, ours = batched(attack, net, x, criterion)
    alone = [Criterion(label[None], targeted) for label in criterion.label]
    theirs = [serial(net, x[i : i + 1], alone[i], attack, 100) for i in range(len(x))]
    worst = max(length / other for length, other in zip(ours.tolist(), theirs, strict=True)) - 1
    way = "targeted" if targeted else "untargeted"
    what = f"length of the perturbation, {way}, 9 weights, at most {attack.steps} steps each (scipy: 100)"
    verdict = f"within {max(100 * worst, 0.1):.1g} %" if met.all() else f"{int(met.sum())} of {len(x)} fooled"
    return {"library": name, "what": what, "difference": worst, "verdict": verdict}
