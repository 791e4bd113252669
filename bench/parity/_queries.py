"""Attacks that only ask, compared by what each question brings: any library's, one picture at a time."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attacks.contract import Attack, Criterion
from bench.parity import _curved as curved

Run = Callable[[nn.Module, Tensor, Criterion], object]


class Enough(Exception):  # noqa: N818
    """The questions that were allowed have been asked."""


class Watched(nn.Module):
    """A network that notes what it is asked: how soon it is fooled, and by how small a change."""

    def __init__(
        self, net: nn.Module, x: Tensor, criterion: Criterion, size: Callable[[Tensor], Tensor], limit: int
    ) -> None:
        super().__init__()
        self.net, self.x, self.criterion, self.size, self.limit = net, x, criterion, size, limit
        self.eval()
        self.asked, self.first, self.least = 0, math.inf, math.inf

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; raise `Enough` beyond the limit."""
        if self.asked >= self.limit:
            raise Enough
        x = x.to(self.x.dtype)  # ART asks in float64
        logits: Tensor = self.net(x)
        with torch.no_grad():
            met = self.criterion.repeat(len(x)).met(logits)[: self.limit - self.asked]
            if met.any():
                sizes = self.size(x[: len(met)] - self.x)[met]
                self.first = min(self.first, self.asked + int(met.nonzero()[0]) + 1)
                self.least = min(self.least, float(sizes.min()))
        self.asked += len(x)
        return logits


def watch(run: Run, size: Callable[[Tensor], Tensor], limit: int) -> list[Watched]:
    """Return, for each of eight pictures, the network after ``run`` has asked it up to ``limit`` times."""
    net, x, criterion = curved.case(False)
    seen = []
    for i in range(len(x)):
        watched = Watched(net, x[i : i + 1], Criterion(criterion.label[i : i + 1], False), size, limit)
        with torch.random.fork_rng():
            torch.manual_seed(i)
            with contextlib.suppress(Enough):
                run(watched, watched.x, watched.criterion)
        seen.append(watched)
    return seen


def ours(attack: Attack) -> Run:
    """Return one of our attacks as a run."""
    return lambda net, x, criterion: curved.run(attack, net, x, criterion)


def compare_sizes(library: str, what: str, mine: list[Watched], theirs: list[Watched]) -> dict[str, object]:
    """Return the row: the median over pictures of our smallest change in units of theirs."""
    ratio = statistics.median(a.least / b.least for a, b in zip(mine, theirs, strict=True))
    verdict = f"our smallest change is {ratio:.2f} of theirs (median of {len(mine)} pictures)"
    return {"library": library, "what": what, "difference": ratio, "verdict": verdict}


def compare_counts(library: str, what: str, mine: list[Watched], theirs: list[Watched]) -> dict[str, object]:
    """Return the row: how many pictures were fooled, and after how many questions in the median."""
    texts, medians = [], []
    for each in (mine, theirs):
        medians.append(statistics.median(min(w.first, w.limit) for w in each))
        fooled = sum(math.isfinite(w.first) for w in each)
        texts.append(f"{fooled} of {len(each)} pictures, half within {medians[-1]:.0f} queries")
    ratio = medians[0] / medians[1]
    return {
        "library": library,
        "what": what,
        "difference": ratio,
        "verdict": f"{texts[0]}; theirs {texts[1]}",
    }
