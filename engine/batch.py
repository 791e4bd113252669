"""Many questions to one network in one forward and one backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from attacks.core import Evaluation, Query
from errors import ModelFailed

Model = Callable[[Tensor], Tensor]


def evaluate(model: Model, queries: Sequence[Query]) -> list[Evaluation]:
    """Answer every query; the rows of one never influence those of another.

    Shared batches are equal to single ones within float tolerance, not bit for bit
    (about 2e-5 in the logits): the device picks other kernels for other sizes.
    """
    xs = [query.x.detach() for query in queries]
    sizes = [len(x) for x in xs]
    x = xs[0] if len(xs) == 1 else torch.cat(xs)
    if all(query.objective is None for query in queries):
        with torch.no_grad():
            return [Evaluation(part, None, None) for part in _logits(model, x).split(sizes)]
    x = x.clone().requires_grad_() if len(xs) == 1 else x.requires_grad_()
    parts = _logits(model, x).split(sizes)
    losses = [q.objective(p) if q.objective else None for q, p in zip(queries, parts, strict=True)]
    (grad,) = torch.autograd.grad(torch.cat([v for v in losses if v is not None]).sum(), x)
    return [
        Evaluation(p.detach(), None if v is None else v.detach(), None if v is None else g)
        for p, v, g in zip(parts, losses, grad.split(sizes), strict=True)
    ]


def check(answer: Evaluation) -> None:
    """Raise `errors.ModelFailed` when the answer holds NaN or infinity."""
    values = [answer.logits] if answer.grad is None else [answer.logits, answer.grad]
    # A finite sum has finite terms; only another one needs the slow look at each of them.
    if not all(torch.isfinite(each.sum()) or torch.isfinite(each).all() for each in values):
        raise ModelFailed("The network answered with NaN or infinity, so the run cannot go on.")


def _logits(model: Model, x: Tensor) -> Tensor:
    logits = model(x)
    if logits.dim() != 2 or len(logits) != len(x):
        raise ModelFailed(f"Expected logits of shape ({len(x)}, classes), got {tuple(logits.shape)}.")
    return logits
