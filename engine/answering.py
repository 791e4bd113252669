"""The queries of several jobs on one model, answered together: one batch, and one transfer to the CPU.

A batch for which the device has no memory is put through in smaller ones, and one wide query in parts; of a
batch that raises otherwise the queries are asked one by one, to see whose it was.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from attacks.contract import Evaluation, Query
from engine.batch import check, evaluate
from engine.device import free_memory, out_of_memory, to_cpu
from engine.jobs import FULL, Job
from engine.scheduler import RowBudget
from errors import OutOfMemory

log = logging.getLogger("foolscope")


def answered(
    jobs: Sequence[Job], budget: RowBudget, device: torch.device
) -> Iterator[tuple[Job, Evaluation | BaseException]]:
    """Yield each job with the answer to its query, which the job has read, or with what was raised.

    ``jobs``: at least one, all on the same model; ``budget``: of that model, halved when the device is full.
    """
    try:
        answers = evaluate(jobs[0].model, [_asked(job) for job in jobs], budget.rows)
        copies = _copies(jobs, answers)
    except BaseException as error:
        yield from _in_parts(jobs, budget, device, error)
        return
    budget.succeed()
    for job, answer, values in zip(jobs, answers, copies, strict=True):
        yield job, _read(job, answer, values)


def _in_parts(
    jobs: Sequence[Job], budget: RowBudget, device: torch.device, error: BaseException
) -> Iterator[tuple[Job, Evaluation | BaseException]]:
    """Go on after a batch that raised ``error``."""
    full = out_of_memory(error)
    rows = sum(len(_asked(job).x) for job in jobs)
    if full and _smaller(budget, rows, device):
        half = (len(jobs) + 1) // 2
        parts = [jobs[:half], jobs[half:]]
    elif len(jobs) > 1:
        parts = [[job] for job in jobs]
    else:
        yield jobs[0], OutOfMemory(FULL, device=device, model=jobs[0].model.card.title) if full else error
        return
    for part in parts:
        if part:
            yield from answered(part, budget, device)


def _smaller(budget: RowBudget, rows: int, device: torch.device) -> bool:
    """Halve a budget after so many rows did not fit; say whether there was anything to halve."""
    free_memory(device)
    tried = min(budget.rows, rows)
    if tried == 1:
        return False
    log.warning("out of memory with %d rows: going on with at most %d", tried, budget.halve(rows))
    return True


def _asked(job: Job) -> Query:
    assert job.query is not None  # only jobs that have asked are scheduled
    return job.query


def _copies(jobs: Sequence[Job], answers: Sequence[Evaluation]) -> list[list[Tensor]]:
    """Return for each job, on the CPU, the sum of its answer and the tensors that it wants."""
    wanted = [
        [_sum(answer), *job.wanted(_asked(job), answer)] for job, answer in zip(jobs, answers, strict=True)
    ]
    copies = iter(to_cpu([tensor for tensors in wanted for tensor in tensors]))
    return [[next(copies) for _ in tensors] for tensors in wanted]


def _sum(answer: Evaluation) -> Tensor:
    """Return a number that is finite only where all logits and gradients are."""
    total = answer.logits.sum()
    return total if answer.grad is None else total + answer.grad.sum()


def _read(job: Job, answer: Evaluation, values: Sequence[Tensor]) -> Evaluation | BaseException:
    """Let a job read its answer; return the answer, or what was raised."""
    total, *rest = values
    try:
        if not math.isfinite(float(total)):
            check(answer)  # a sum of finite terms may overflow: only the look at each tells
        job.read(_asked(job), answer, rest)
    except BaseException as error:
        return error
    return answer
