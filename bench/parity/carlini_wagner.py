"""Carlini and Wagner's L2 attack beside foolbox, adv_lib, torchattacks and ART."""

from __future__ import annotations

from unittest import mock

import attacks.carlini_wagner
from attacks.carlini_wagner import CarliniWagner
from bench.parity import _smallest as smallest

SPACE = "in our space black and white pixels can move"
ONE_C = "it tries one weight, and pixels that are black or white cannot move"
SHORT = "its search for a step size replaces Adam"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    return [row for targeted in (False, True) for row in _rows(targeted)]


def _rows(targeted: bool) -> list[dict[str, object]]:
    what, ours = "l2, 4 rounds of 60 steps of 0.01, c from 0.1", CarliniWagner()
    rounds = {"binary_search_steps": 4, "initial_const": 0.1}
    finders = {
        "foolbox": smallest.foolbox("L2CarliniWagnerAttack", steps=60, abort_early=False, **rounds),
        "adv_lib": smallest.adv_lib("carlini_wagner_l2", max_iterations=60, abort_early=False, **rounds),
    }
    found: list[dict[str, object]] = []
    for library, finder in finders.items():
        found += smallest.compare(library, what, ours, finder, targeted, differs=SPACE)
        # 1e-6 short of black and white, as in the authors' program.
        with mock.patch.multiple(attacks.carlini_wagner, EDGE=7.25, END=7.25):
            found += smallest.compare(library, f"{what}, in the paper's space", ours, finder, targeted)
    single = smallest.torchattack("CW", c=1, kappa=0, steps=60, lr=0.01)
    found += smallest.compare("torchattacks", what, ours, single, targeted, differs=ONE_C)
    search = smallest.art("CarliniL2Method", max_iter=60, batch_size=8, **rounds)
    return found + smallest.compare("ART", what, ours, search, targeted, differs=SHORT)
