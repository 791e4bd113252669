"""What the engine's loop carries out: one search on one model, for a run or for a caller who waits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from enum import Enum

import numpy as np
import torch
from torch import Tensor

import models
from attacks.contract import Attack, Criterion, Evaluation, Query, ReasonedSearch
from attacks.toolkit.eight_bit import eight_bit
from attacks.toolkit.mask import masked
from engine.device import out_of_memory
from engine.recipe import Recipe
from engine.robustness.surviving import surviving, views
from engine.run import Floats, Observation, Prediction, Run
from errors import BadTarget, FoolscopeError
from models.core import Classifier
from models.ensemble import WORST

FULL = "There is no memory left on {device} for one image of {model}."
Build = Callable[[Classifier, Callable[[], None]], "RunJob"]
"""Makes the job of a run from its model and what is to be called when that is no longer needed."""


class StepsLeft(Enum):
    """How far a job may go before it is asked to wait."""

    NONE = "none"
    ONE = "one"
    ALL = "all"


class Task(ABC):
    """What takes turns on the device. ``closed``: nothing more will be delivered; ``release`` is called once,
    when the task no longer needs its model."""

    def __init__(self, key: str, model: Classifier, release: Callable[[], None]) -> None:
        self.id, self.model, self.release = key, model, release
        self.steps_left = StepsLeft.ALL
        self.closed = False

    @property
    @abstractmethod
    def group(self) -> str:
        """Return the name of those with whom it shares its turns."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """Return how many images it asks about next, 0 before it has started."""

    @abstractmethod
    def start(self) -> None:
        """Get ready for the first turn; raises whatever is wrong with it."""

    @abstractmethod
    def close(self) -> None:
        """Clean up; raises whatever that raises."""

    @abstractmethod
    def finish(self, reason: str) -> None:
        """Note that it is over."""

    @abstractmethod
    def fail(self, error: BaseException) -> None:
        """Note that it broke; never raises."""

    @abstractmethod
    def set_status(self, status: str) -> None:
        """Note that it is "running" or "paused"."""


class Job(Task):
    """One search on one model.

    ``query``: what the search asks next, None before its first question. ``held``: an answer that came while
    the job was paused, to be delivered when it goes on.
    """

    def __init__(
        self, key: str, model: Classifier, search: ReasonedSearch, release: Callable[[], None]
    ) -> None:
        super().__init__(key, model, release)
        self.search = search
        self.query: Query | None = None
        self.held: Evaluation | None = None

    @property
    def group(self) -> str:
        """Return the name of the model: jobs on it share batches."""
        return self.model.card.name

    @property
    def rows(self) -> int:
        """Return how many images the next query has."""
        return 0 if self.query is None else len(self.query.x)

    def start(self) -> None:
        """Ask the search for its first query."""
        self.query = _query(next(self.search))

    def go_on(self, answer: Evaluation) -> None:
        """Give the search an answer and take its next query; raises StopIteration at its end."""
        self.query = _query(self.search.send(answer))

    def close(self) -> None:
        """Close the search."""
        self.search.close()

    @abstractmethod
    def wanted(self, query: Query, answer: Evaluation) -> Sequence[Tensor]:
        """Return which tensors of an answer it needs on the CPU."""

    @abstractmethod
    def read(self, query: Query, answer: Evaluation, values: Sequence[Tensor]) -> None:
        """Take ``values``: float32 copies of the tensors that were `wanted`, on the CPU."""

    @abstractmethod
    def record(self) -> str | None:
        """Keep what was read last; return a reason to stop, or None. Quick: the engine's lock is held."""


class QueryJob(Job):
    """One query whose whole answer, on the CPU, is the result of ``answer``."""

    def __init__(
        self, key: str, model: Classifier, search: ReasonedSearch, release: Callable[[], None]
    ) -> None:
        super().__init__(key, model, search, release)
        self.answer: Future[Evaluation] = Future()
        self._read: Evaluation | None = None

    def wanted(self, query: Query, answer: Evaluation) -> Sequence[Tensor]:
        """Return all that there is of the answer."""
        return [part for part in answer if part is not None]

    def read(self, query: Query, answer: Evaluation, values: Sequence[Tensor]) -> None:
        """Take the answer."""
        parts = iter(values)
        logits, loss, grad = (None if part is None else next(parts) for part in answer)
        assert logits is not None
        self._read = Evaluation(logits, loss, grad)

    def record(self) -> str | None:
        """Hand the answer to the caller."""
        if self._read is not None and not self.answer.done():
            self.answer.set_result(self._read)
        return None

    def finish(self, reason: str) -> None:
        """Do nothing: the caller has the answer."""

    def fail(self, error: BaseException) -> None:
        """Raise the error where the caller waits."""
        if not self.answer.done():
            self.answer.set_exception(error if isinstance(error, Exception) else FoolscopeError(words(error)))

    def set_status(self, status: str) -> None:
        """Do nothing: one query is not paused."""


class Memory:
    """What the search of a run remembered when it asked about its newest step; any thread may ask."""

    def __init__(self) -> None:
        self._newest: tuple[int, tuple[Tensor, ...]] = -1, ()

    def keep(self, step: int, memory: tuple[Tensor, ...]) -> None:
        """Take in what belongs to the newest step."""
        self._newest = step, memory

    def at(self, step: int) -> tuple[Tensor, ...] | None:
        """Return what belongs to ``step``, None where that is not the newest any more."""
        newest, memory = self._newest
        return memory if newest == step else None


class RunJob(Job):
    """The search of a run, each answer of which is one step. ``memory``: who keeps what it remembers."""

    def __init__(
        self,
        run: Run,
        attack: Attack,
        model: Classifier,
        search: ReasonedSearch,
        release: Callable[[], None],
        memory: Memory | None = None,
    ) -> None:
        super().__init__(run.id, model, search, release)
        self._run, self._attack, self._memory = run, attack, memory
        times = 1 + len(run.recipe.survives)
        self._criterion = criterion_of(run)
        self._reached = run.recipe.stop.watch(self._criterion.repeat(times))
        self._read: tuple[Tensor, Observation] | None = None

    def wanted(self, query: Query, answer: Evaluation) -> Sequence[Tensor]:
        """Return the logits of the step's image and of what it is to survive, the image itself and the length
        of its gradient."""
        length = [] if answer.grad is None else [answer.grad[0].norm()]
        return [views(answer.logits, self._run.recipe.survives), query.x[0], *length]

    def read(self, query: Query, answer: Evaluation, values: Sequence[Tensor]) -> None:
        """Compute the step's figures."""
        logits, image, *length = values
        asked = len(query.x)
        gradients = asked if length else 0
        grad_norm = float(length[0]) if length else math.nan
        self._read = (
            logits,
            observed(self._run, self._criterion, logits[0], image, grad_norm, asked, gradients),
        )

    def record(self) -> str | None:
        """Append the step to the run; return the name of the run's stop rule when that is satisfied."""
        if self._run.over or self._read is None:
            return "cancelled"
        logits, observation = self._read
        if self._memory is not None and self.query is not None:
            self._memory.keep(len(self._run), self.query.memory)
        self._run.append(observation)
        return self._run.recipe.stop.rule if len(self._run) > 1 and self._reached(logits) else None

    def finish(self, reason: str) -> None:
        """End the run, as its attack tells the end of a search."""
        run, attack = self._run, self._attack
        if reason in attack.dead_ends:
            run.dead_end, reason = reason, "dead end"
        early = reason == "steps" and len(run) <= run.total
        run.set_status("finished", "ended" if early and attack.ends else reason)

    def fail(self, error: BaseException) -> None:
        """End the run with a sentence that says why."""
        self._run.set_status("failed", "failed", words(error))

    def set_status(self, status: str) -> None:
        """Pass the status on to the run."""
        self._run.set_status(status)


def new_run(recipe: Recipe, ranking: Sequence[Prediction], start: Floats, clock: Callable[[], float]) -> Run:
    """Return a new run of ``recipe``.

    ``ranking``: every class of the recipe's model for ``start`` ``(c, h, w)`` in [0, 1], the most probable
    first.
    Raises `errors.BadTarget` when the target is the first of them.
    """
    original = ranking[0]
    if recipe.target == original.index:
        raise BadTarget(
            "The network already says {label} ({share}); expected a target that is another class.",
            label=original.label,
            share=f"{original.probability:.0%}",
        )
    run = fresh_run(recipe, original.index, start, clock)
    if models.card(recipe.model).ensemble != WORST:  # which answers otherwise once it knows the goal
        run.answers_again = _log_probabilities(ranking)
    return run


def fresh_run(recipe: Recipe, original: int, start: Floats, clock: Callable[[], float]) -> Run:
    """Return a run that has not begun, of a recipe that was checked. ``original``: the class that its model
    says of ``start`` ``(c, h, w)`` in [0, 1]."""
    labels = models.card(recipe.model).labels
    return Run(recipe, labels, start, original, recipe.build().updates(), clock)


def criterion_of(run: Run) -> Criterion:
    """Return what counts as success of a run, on the CPU."""
    return Criterion(torch.tensor([run.aim]), run.targeted)


def observed(
    run: Run,
    criterion: Criterion,
    logits: Tensor,
    image: Tensor,
    grad_norm: float,
    queries: int,
    gradients: int,
) -> Observation:
    """Return what a step of a run with this ``criterion`` shows.

    ``logits`` ``(classes,)`` and ``image`` ``(c, h, w)`` in [0, 1] are on the CPU; ``grad_norm``: the
    gradient's length, NaN where none was asked for; ``queries``: images that were asked about, of which the
    step's is the first; ``gradients``: gradients that were asked for.
    """
    delta = image - torch.from_numpy(run.start)
    margin = float(criterion.margin(logits[None])[0])
    return Observation(
        image=image.numpy(),
        delta=delta.half().numpy(),
        log_p=torch.log_softmax(logits, 0).numpy(),
        lengths=(margin, *_lengths(delta.numpy().ravel()), grad_norm),
        queries=queries,
        gradients=gradients,
    )


def _lengths(delta: Floats) -> tuple[float, ...]:
    """Return linf, l2, l1, l0 and rms of a perturbation ``(values,)``."""
    # In NumPy, because every torch reduction of this size wakes all threads, for more than it costs.
    sizes = np.abs(delta)
    squared = float(np.dot(delta, delta))
    l1, l0 = float(sizes.sum()), float(np.count_nonzero(delta != 0))  # of booleans: five times as fast
    return float(sizes.max()), math.sqrt(squared), l1, l0, math.sqrt(squared / delta.size)


def build_of(
    run: Run, device: torch.device, newest: Query | None = None, memory: Memory | None = None
) -> Build:
    """Return what makes the job of a run that has not begun, or, with the query ``newest`` about the step
    after its last one, of a run that is `resumable`. ``memory``: who keeps what its search remembers."""
    recipe, criterion, attack = run.recipe, criterion_of(run), run.recipe.build()
    here = replace(criterion, label=criterion.label.to(device))
    x = torch.from_numpy(run.start)[None].to(device)
    if newest is None:
        search = _search(recipe, attack, x, here)
    else:
        there = Query(newest.x.to(device), None, tuple(part.to(device) for part in newest.memory))
        search = attack.resume(x, there, here, len(run))
    against = run.aim, run.targeted
    return lambda model, release: RunJob(run, attack, model.against(*against), search, release, memory)


def resumable(recipe: Recipe) -> bool:
    """Say whether a run can go on from one of its steps, without those before."""
    more = recipe.region or recipe.survives or recipe.eight_bit or recipe.stop.rule == "row"
    return not more and recipe.build().resumes()


def _search(recipe: Recipe, attack: Attack, x: Tensor, criterion: Criterion) -> ReasonedSearch:
    search = attack.search(x, criterion, torch.Generator().manual_seed(recipe.seed))
    if recipe.region:
        search = masked(search, x, torch.from_numpy(recipe.region.mask(*x.shape[-2:])).to(x)[None, None])
    search = surviving(search, criterion, recipe.survives) if recipe.survives else search
    norm, epsilon = attack.bound() or ("", 0.0)
    return eight_bit(search, epsilon if norm == "linf" else None) if recipe.eight_bit else search


def _log_probabilities(ranking: Sequence[Prediction]) -> Floats:
    """Return natural-log probabilities ``(classes,)`` by class."""
    row = np.empty(len(ranking), np.float32)
    row[[prediction.index for prediction in ranking]] = [prediction.probability for prediction in ranking]
    return np.log(np.maximum(row, 1e-38))


def words(error: BaseException) -> str:
    """Return in a sentence for a person why a run failed."""
    if isinstance(error, FoolscopeError):
        return str(error)
    if out_of_memory(error):
        return "The run failed: the device has no memory left for it."
    return f"The run failed: {type(error).__name__}: {error}"


def _query(asked: Query) -> Query:
    """Return what a search asked when it is a query; raises `errors.FoolscopeError` otherwise."""
    images = getattr(asked, "x", None)  # by its field: after a reload of the code the class is another one
    if not isinstance(images, Tensor) or not images.dim() or not len(images):
        raise FoolscopeError(f"Expected the attack to ask about images, got {type(asked).__name__}.")
    return asked
