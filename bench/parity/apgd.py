"""Auto-PGD beside adv_lib (from the untouched picture) and torchattacks (from the same random one)."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from attacks.apgd import APGD, Path
from attacks.contract import Criterion, Query, answer
from attacks.toolkit import norms
from attacks.toolkit.norms import Norm
from bench.parity import _curved as curved
from bench.parity import _peers as peers

EPSILON = {"linf": 8 / 255, "l2": 0.7}
HABITS = {
    "torchattacks": "it counts the first step as a gain if its loss is above 0, we if above the start's",
    "adv_lib": "as torchattacks; also its loss at the last checkpoint is the latest one by another name,"
    " so that each checkpoint halves whatever the one before did not",
}
DTYPE = {"ce": torch.float64, "dlr": torch.float32}
PLATEAU = (
    "where the class left behind is third the ratio is 1 whatever happens: its gradient is rounding noise"
)
CLIPS_LAST = "; and it clips after it projects, which leaves budget unused"


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    cases = [(norm, loss, steps) for norm in EPSILON for loss in ("ce", "dlr") for steps in (10, 50, 100)]
    return [row for case in cases for row in (*_adv_lib(*case), *_torchattacks(*case))]


def _adv_lib(norm: str, loss: str, steps: int) -> Iterator[dict[str, object]]:
    if not (name := peers.version("adv_lib")):
        return
    net, x, criterion = curved.case(False, DTYPE[loss])
    attack = APGD(norm=norm, epsilon=EPSILON[norm], loss=loss, steps=steps)
    run = importlib.import_module("adv_lib.attacks.auto_pgd")._apgd
    epsilon, order = x.new_full((len(x),), EPSILON[norm]), {"linf": float("inf"), "l2": 2}[norm]
    theirs = run(net, x, criterion.label, epsilon, order, x_init=x, loss_function=loss, n_iter=steps)[0]
    yield from _compared(name, attack, net, x, criterion, theirs.detach())


def _torchattacks(norm: str, loss: str, steps: int) -> Iterator[dict[str, object]]:
    if not (name := peers.version("torchattacks")):
        return
    net, x, criterion = curved.case(False, DTYPE[loss])
    attack = APGD(norm=norm, epsilon=EPSILON[norm], loss=loss, steps=steps, random_start=True)
    kind = importlib.import_module("torchattacks").APGD
    theirs = kind(net, norm=norm.capitalize(), eps=EPSILON[norm], steps=steps, loss=loss)
    seen: list[Tensor] = []
    handle = net.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = theirs.attack_single_run(x, criterion.label)[0].detach()
    handle.remove()
    with mock.patch.object(Norm, "jump", lambda *_: seen[0]):
        yield from _compared(name, attack, net, x, criterion, found)


def _compared(name: str, attack: APGD, *at: Any) -> Iterator[dict[str, object]]:
    """Yield the comparison, and, where theirs is another picture, the one with their habits."""
    *case, theirs = at
    what = f"{attack.norm} {attack.epsilon:.3g}, {attack.loss}, {attack.steps} steps: point of highest loss"
    ours = _best(attack, *case)
    plain = curved.row(name, what, ours, theirs)
    if str(plain["verdict"]).startswith("equal"):
        yield plain
        return
    library = name.split()[0]
    yield curved.row(name, what, ours, theirs, HABITS[library] + (CLIPS_LAST if attack.norm == "l2" else ""))
    with _their_habits(library):
        same = _best(attack, *case)
    noise = PLATEAU if attack.loss == "dlr" and not torch.allclose(same, theirs, atol=1e-5) else ""
    yield curved.row(name, what + ", ours with its habits", same, theirs, noise)


@contextmanager
def _their_habits(library: str) -> Iterator[None]:
    """Make ours do what `HABITS` and `CLIPS_LAST` say."""
    bare = dataclasses.replace(
        norms.L2, ascent_step=lambda adv, grad, size: adv + size * norms.L2.steepest(grad)
    )

    def begin(self: Path, norm: Norm, *args: Any, init: Any = Path.__init__) -> None:
        init(self, bare if norm is norms.L2 else norm, *args)
        self.value = torch.zeros_like(self.value)

    def keep(self: Path, adv: Tensor) -> Tensor:
        return self.norm.project(self.x, adv, self.epsilon).clamp(0, 1)

    def check(self: Path, length: int, check: Any = Path.check) -> None:
        self.least_at_check = self.least if library == "adv_lib" else self.least_at_check
        check(self, length)

    with mock.patch.multiple(Path, __init__=begin, _keep=keep, check=check):
        yield


def _best(attack: APGD, net: curved.Curved, x: Tensor, criterion: Criterion) -> Tensor:
    """Return, of each row, the first picture with the lowest value of what the attack minimises."""
    goal = partial(attack.goal, criterion, 0, answer(net, Query(x, None)).logits)
    path = curved.run(attack, net, x, criterion)[int(attack.random_start) : -1]
    values = torch.stack([goal(step.evaluation.logits) for step in path])
    return torch.stack([path[k].x[row] for row, k in enumerate(values.argmin(0).tolist())])
