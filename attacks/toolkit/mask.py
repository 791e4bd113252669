"""Only these values may change: any search, kept to a part of the picture."""

from __future__ import annotations

from torch import Tensor

from attacks.contract import Evaluation, Query, ReasonedSearch


def masked(search: ReasonedSearch, x: Tensor, mask: Tensor) -> ReasonedSearch:
    """Return ``search`` over ``x`` ``(n, c, h, w)`` with every change multiplied by ``mask``.

    ``mask``: 1 where a value may change, 0 where it may not; of a shape that broadcasts to ``x``.
    The search sees no gradient where it may not change anything, so that norms and directions are
    those of the part that is free. Returns what ``search`` returns.
    """
    try:
        query = next(search)
        while True:
            base = x.repeat(len(query.x) // len(x), *[1] * (x.dim() - 1))
            reply = yield Query(base + mask * (query.x - base), query.objective)
            grad = None if reply.grad is None else reply.grad * mask
            query = search.send(Evaluation(reply.logits, reply.loss, grad))
    except StopIteration as end:
        reason: str | None = end.value
        return reason
    finally:
        search.close()
