"""The batched box-constrained L-BFGS beside scipy's, one digit at a time: ``python -m bench.lbfgs``."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import torch
from scipy.optimize import fmin_l_bfgs_b
from torch import Tensor

import console
import models
from attacks.contract import Criterion, Query, answer, walk
from attacks.lbfgs import LBFGS, towards
from bench.figures import Figure, figure, table
from models.train.data import data_root, read_mnist

Network = Callable[[Tensor], Tensor]


def digits(count: int, net: Network) -> tuple[Tensor, Tensor]:
    """Return the first ``count`` test digits that ``net`` gets right, and their labels."""
    x, label = read_mnist(data_root(), train=False)
    x, label = x[: 2 * count], label[: 2 * count]
    right = net(x).argmax(1) == label
    return x[right][:count], label[right][:count]


def batched(attack: LBFGS, net: Network, x: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
    """Return ``(n,)`` successes and lengths of the perturbations, all rows at once."""
    *_, last = walk(attack.search(x, criterion, torch.Generator()), net, criterion)
    return criterion.met(last.evaluation.logits), (last.x - x).flatten(1).norm(dim=1)


def serial(net: Network, x: Tensor, criterion: Criterion, attack: LBFGS, maxiter: int) -> float:
    """Return the length of the shortest perturbation that scipy's L-BFGS-B finds for one picture ``x``.

    The same objective, the same weights tried in the same order; each is minimised from ``x`` itself.
    Infinite when none succeeds.
    """
    start, c, best = x.double().flatten().numpy(), attack.initial_c, math.inf
    succeeded, failed = 0.0, math.inf
    for _ in range(attack.search_steps):
        here = partial(_objective, net, x, criterion, c)
        bounds = [(0, 1)] * len(start)
        found, *_ = fmin_l_bfgs_b(here, start, bounds=bounds, m=attack.memory, maxiter=maxiter)
        adv = torch.from_numpy(found).to(x.dtype).view_as(x)
        if criterion.met(answer(net, Query(adv, None)).logits):
            succeeded, best = c, min(best, float((adv - x).norm()))
        else:
            failed = c
        c = c / 10 if not succeeded else c * 10 if math.isinf(failed) else math.sqrt(succeeded * failed)
    return best


def _objective(
    net: Network, x: Tensor, criterion: Criterion, c: float, at: np.ndarray
) -> tuple[float, np.ndarray]:
    reply = answer(net, Query(torch.tensor(at, dtype=x.dtype).view_as(x), partial(towards, criterion)))
    change = at - x.double().flatten().numpy()
    slope = reply.gradient.double().flatten().numpy() + 2 * c * change
    return float(
        reply.logits.new_tensor(0) if reply.loss is None else reply.loss
    ) + c * change @ change, slope


def against_scipy(
    targeted: bool, count: int = 1000, sample: int = 50, maxiter: int = 100, attack: LBFGS | None = None
) -> list[Figure]:
    """Return success and seconds for ``count`` digits, and for ``sample`` the median length over scipy's.

    ``targeted``: aim at the next digit. Network: 100-100-10, from the paper's table 1.
    """
    attack, net = attack or LBFGS(), models.load("fc100")
    x, label = digits(count, net)
    criterion = Criterion((label + 1) % 10 if targeted else label, targeted)
    begun = time.perf_counter()
    met, length = batched(attack, net, x, criterion)
    seconds, way = time.perf_counter() - begun, "targeted" if targeted else "untargeted"
    aims = criterion.label[:, None]
    theirs = [serial(net, x[i : i + 1], Criterion(aims[i], targeted), attack, maxiter) for i in range(sample)]
    ratio = median(length[:sample].tolist()) / median(theirs)
    whole, what = float(met.float().mean()) * 100, f"L-BFGS, {way}, {count} digits"
    return [
        figure(f"lbfgs_{way}_success", f"{what}: success", [whole], "%", "100 %", lambda v: v == 100),
        figure(f"lbfgs_{way}_time", f"{what}: time", [seconds], "s", "at most 180 s", lambda v: v <= 180),
        figure(
            f"lbfgs_{way}_ratio",
            f"L-BFGS, {way}: median length / scipy's, {sample} digits",
            [ratio],
            "",
            "at most 1",
            lambda v: v <= 1,
            median=float(length.median()),
            rms=float(length.mean()) / math.sqrt(x[0].numel()),
            worst_row=max(ours / other for ours, other in zip(length.tolist(), theirs, strict=False)),
        ),
    ]


def main() -> None:
    """Print what `against_scipy` measures, untargeted and targeted."""
    for targeted in (False, True):
        figures = against_scipy(targeted)
        print(table(figures), *(figure.detail for figure in figures if figure.detail), sep="\n", flush=True)


if __name__ == "__main__":
    raise SystemExit(console.run(main))
