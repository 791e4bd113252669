"""Any attack, made to survive corruptions: its gradient is the mean over the image and its corrupted forms.

Athalye, Engstrom, Ilyas and Kwok 2017, https://arxiv.org/abs/1707.07397, equation 2: the expectation over
transforms, here over the chosen corruptions and the image as it is, each with the same weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective, Query, ReasonedSearch
from engine.robustness.corruptions import CORRUPTIONS


def surviving(search: ReasonedSearch, criterion: Criterion, names: Sequence[str]) -> ReasonedSearch:
    """Return ``search`` asking about each image as it is and after each corruption of ``names``.

    Of a query of ``r`` rows it makes one of ``r (1 + len(names))``: the rows themselves, then all of them
    after the first corruption, and so on (`views`). The search is answered with the mean loss and gradient
    over these, and with the logits of the view whose margin under ``criterion`` is least: what it holds for
    fooled is fooled in every form. Returns what ``search`` returns.
    """
    try:
        query = next(search)
        while True:
            leaf = query.x.detach().requires_grad_(query.objective is not None)
            with torch.set_grad_enabled(leaf.requires_grad):
                seen = [leaf, *(CORRUPTIONS[name].through(leaf) for name in names)]
            asked = torch.cat([view.detach() for view in seen])
            reply = yield Query(asked, query.objective and partial(_each, query.objective, len(seen)))
            query = search.send(_mean(reply, seen, leaf, criterion))
    except StopIteration as end:
        reason: str | None = end.value
        return reason
    finally:
        search.close()


def views(answers: Tensor, names: Sequence[str]) -> Tensor:
    """Return, of ``answers`` ``(r (1 + len(names)), ...)`` to a query of `surviving`, those about the first
    image: as it is, and after each corruption."""
    return answers[:: len(answers) // (1 + len(names))]


def _each(objective: Objective, times: int, logits: Tensor) -> Tensor:
    """Return the objective of each view's logits, for which it was made."""
    return torch.cat([objective(part) for part in logits.chunk(times)])


def _mean(reply: Evaluation, seen: Sequence[Tensor], leaf: Tensor, criterion: Criterion) -> Evaluation:
    """Return one answer a row of ``leaf`` from those to all its views."""
    logits = reply.logits.view(len(seen), len(leaf), -1)
    repeated = criterion.repeat(len(leaf) // len(criterion.label))
    worst = torch.stack([repeated.margin(view) for view in logits]).argmin(0)
    least = logits[worst, torch.arange(len(leaf), device=worst.device)]
    if reply.loss is None:
        return Evaluation(least, None, None)
    slopes = [part / len(seen) for part in reply.gradient.chunk(len(seen))]
    (grad,) = torch.autograd.grad(list(seen), leaf, slopes)
    return Evaluation(least, reply.loss.view(len(seen), -1).mean(0), grad)
