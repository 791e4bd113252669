"""EAD beside foolbox, torchattacks and ART."""

from __future__ import annotations

from attacks.ead import EAD
from bench.parity import _smallest as smallest

AHEAD = "ours keeps the point ahead in [0, 1]"
GOES_ON = "each of its rounds begins where the last one ended, instead of at the picture"
NO_PULL = "where a picture fools it drops the slope of the distance too, and only shrinks the changes"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for targeted in (False, True) for rule in ("elastic", "l1") for row in _rows(targeted, rule)]


def _rows(targeted: bool, rule: str) -> list[dict[str, object]]:
    what, ours = f"l1, kept by {rule}, 4 rounds of 60 steps, beta 0.001", EAD(rule=rule)
    name = {"elastic": "EN", "l1": "L1"}[rule]
    rounds = {"binary_search_steps": 4, "initial_const": 1.0}
    options = {"steps": 60, "abort_early": False, "regularization": 0.001, "decision_rule": name, **rounds}
    found = smallest.compare(
        "foolbox", what, ours, smallest.foolbox("EADAttack", **options), targeted, "l1", AHEAD
    )
    finder = smallest.torchattack(f"EAD{name}", max_iterations=60, abort_early=False, **rounds)
    found += smallest.compare("torchattacks", what, ours, finder, targeted, "l1", GOES_ON)
    finder = smallest.art("ElasticNet", max_iter=60, batch_size=8, decision_rule=name, **rounds)
    return found + smallest.compare("ART", what, ours, finder, targeted, "l1", NO_PULL)
