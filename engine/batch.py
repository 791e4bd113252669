"""Many questions to one network in one forward and one backward pass."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from types import MethodType

import torch
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective, Query
from errors import ModelFailed

Model = Callable[[Tensor], Tensor]
Losses = list[tuple[list[int], Tensor]]
"""Values of objectives, each ``(rows,)`` with the numbers of the queries whose rows they are of."""


def evaluate(model: Model, queries: Sequence[Query], rows: int = 0) -> list[Evaluation]:
    """Answer every query; the rows of one never influence those of another.

    ``rows``: more than so many are put through the network in several parts (0: never).
    Shared batches are equal to single ones within float tolerance, not bit for bit
    (about 2e-5 in the logits): the device picks other kernels for other sizes.
    """
    xs = [query.x.detach() for query in queries]
    sizes = [len(x) for x in xs]
    x = xs[0] if len(xs) == 1 else torch.cat(xs)
    if 0 < rows < len(x):
        return _in_parts(model, queries, x, rows)
    if all(query.objective is None for query in queries):
        with torch.no_grad():
            return [Evaluation(part, None, None) for part in _logits(model, x).split(sizes)]
    x = x.clone().requires_grad_() if len(xs) == 1 else x.requires_grad_()
    parts = _logits(model, x).split(sizes)
    losses = _losses(queries, parts)
    (grad,) = torch.autograd.grad(_sum(losses), x)
    return _answers(parts, losses, grad)


def _losses(queries: Sequence[Query], parts: Sequence[Tensor]) -> Losses:
    """Return the values of all objectives: those of many runs towards goals of one kind are computed
    together, which takes little more time than one."""
    alike: dict[Hashable, list[int]] = {}
    for number, query in enumerate(queries):
        if query.objective is not None:
            alike.setdefault(_kind(query.objective) or number, []).append(number)
    losses: Losses = []
    for numbers in alike.values():
        objectives = [objective for number in numbers if (objective := queries[number].objective)]
        rows = [parts[number] for number in numbers]
        losses.append((numbers, _together(objectives)(rows[0] if len(rows) == 1 else torch.cat(rows))))
    return losses


def _kind(objective: Objective) -> tuple[Hashable, ...]:
    """Return what is alike in objectives that may be computed `_together`, nothing where none may."""
    if not isinstance(objective, MethodType) or type(objective.__self__) is not Criterion:
        return ()
    goal = objective.__self__
    return objective.__func__, goal.targeted, goal.label.device


def _together(objectives: Sequence[Objective]) -> Objective:
    """Return one objective, for all their rows in turn, of objectives of one kind."""
    if len(objectives) == 1:
        return objectives[0]
    own = [getattr(objective, "__self__", None) for objective in objectives]
    goals = [goal for goal in own if isinstance(goal, Criterion)]
    together = Criterion(torch.cat([goal.label for goal in goals]), goals[0].targeted)
    return MethodType(objectives[0].__func__, together)  # type: ignore[attr-defined]


def _sum(losses: Losses) -> Tensor:
    """Return the sum over all rows, whose slope in a row is that of the row's own value."""
    return torch.stack([values.sum() for _, values in losses]).sum()


def _answers(parts: Sequence[Tensor], losses: Losses, grad: Tensor) -> list[Evaluation]:
    """Return the answers from the logits of each query, the values of the objectives and the gradient of all
    rows; a query without an objective has the logits alone."""
    sizes = [len(part) for part in parts]
    answers = [Evaluation(part.detach(), None, None) for part in parts]
    grads = grad.split(sizes)
    for numbers, values in losses:
        for number, own in zip(numbers, values.detach().split([sizes[n] for n in numbers]), strict=True):
            answers[number] = Evaluation(answers[number].logits, own, grads[number])
    return answers


def _in_parts(model: Model, queries: Sequence[Query], x: Tensor, rows: int) -> list[Evaluation]:
    """Answer in parts of ``rows``: first all logits, then, part by part, the gradients that they ask for.

    An objective is a function of a query's logits alone, so its slope in them is known before any part
    is differentiated.
    """
    sizes = [len(query.x) for query in queries]
    with torch.no_grad():
        logits = torch.cat([_logits(model, part) for part in x.split(rows)])
    parts = [part.detach().requires_grad_() for part in logits.split(sizes)]
    losses = _losses(queries, parts)
    if not losses:
        return [Evaluation(part.detach(), None, None) for part in parts]
    slopes = torch.autograd.grad(_sum(losses), parts, allow_unused=True)
    slope = torch.cat([torch.zeros_like(p) if s is None else s for s, p in zip(slopes, parts, strict=True)])
    portions = zip(x.split(rows), slope.split(rows), strict=True)
    return _answers(parts, losses, torch.cat([_slope(model, piece, wish) for piece, wish in portions]))


def _slope(model: Model, x: Tensor, wish: Tensor) -> Tensor:
    if not wish.any():
        return torch.zeros_like(x)
    x = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(_logits(model, x), x, wish)
    return grad


def check(answer: Evaluation) -> None:
    """Raise `errors.ModelFailed` when the answer holds NaN or infinity."""
    values = [answer.logits] if answer.grad is None else [answer.logits, answer.grad]
    if not all(torch.isfinite(value).all() for value in values):
        raise ModelFailed("The network answered with NaN or infinity, so the run cannot go on.")


def _logits(model: Model, x: Tensor) -> Tensor:
    logits = model(x)
    if logits.dim() != 2 or len(logits) != len(x):
        raise ModelFailed(f"Expected logits of shape ({len(x)}, classes), got {tuple(logits.shape)}.")
    return logits
