"""The networks that experiments compute with: those of the engine's pool, so that each is in memory once.

    with stage():
        model = shared("lenet")  # as the runs of this process use it: to be asked, not to be changed
        model = copied("lenet").double()  # one's own

Experiments compute on the CPU; where the engine's device is another, or where there is no engine, as on the
command line, they have a pool of their own.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

import torch

from engine.model_pool import ModelPool
from errors import ModelFailed
from models.core import Classifier

CHANGED = "Expected an experiment to leave the shared network {model} as it was; it may change a copy."
State = tuple[tuple[object, ...], ...]

_held: ContextVar[ExitStack | None] = ContextVar("held", default=None)
_pool: ModelPool | None = None
_lock = threading.Lock()


def use_pool(pool: ModelPool) -> None:
    """Take networks from the pool of this process's engine from now on, if that is on the CPU."""
    global _pool
    if pool.device.type == "cpu":
        with _lock:
            _pool = pool


def pool() -> ModelPool:
    """Return the pool from which networks are taken."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ModelPool(torch.device("cpu"))
        return _pool


def shared(name: str) -> Classifier:
    """Return the model called ``name``, which others use at the same time: whoever changes it, sets hooks or
    converts it takes a copy (`copied`). Within a `stage` it stays in memory until that ends.

    Raises `errors.UnknownName` or `errors.WeightsError`.
    """
    source, stack = pool(), _held.get()
    return source.get(name) if stack is None else stack.enter_context(_unchanged(source, name))


def copied(name: str) -> Classifier:
    """Return a copy of the model called ``name``, to do with as one likes; raises as `shared` does."""
    return copy.deepcopy(shared(name))


@contextmanager
def stage() -> Iterator[None]:
    """Hold all `shared` models until the ``with`` block ends.

    Raises `errors.ModelFailed` when one of them was changed in it, which is then loaded anew for the next.
    """
    with ExitStack() as stack:
        token = _held.set(stack)
        try:
            yield
        finally:
            _held.reset(token)


@contextmanager
def _unchanged(source: ModelPool, name: str) -> Iterator[Classifier]:
    with source.use(name) as model:
        before = state(model)
        yield model
        if state(model) != before:
            source.forget(name)
            raise ModelFailed(CHANGED, model=model.card.title)


def state(model: Classifier) -> State:
    """Return what tells whether a model was changed: each tensor's place, type and count of writes, and each
    module's mode and hooks."""
    tensors = [*model.parameters(), *model.buffers()]
    written = tuple((id(t), t.data_ptr(), t._version, t.dtype, t.requires_grad) for t in tensors)
    hooks = tuple(
        (id(m), m.training, len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
        for m in model.modules()
    )
    return written + hooks
