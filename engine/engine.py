"""The engine of this process: `engine.loop` answers the queries of all runs on the one device, and
`engine.model_pool` holds the networks; what it shares with that of replicas is in `engine.base`."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

import models
from attacks.contract import Criterion, Evaluation, Objective
from attacks.toolkit.probes import look
from engine.base import PATIENCE, EngineBase
from engine.device import batch_rows, pick_device
from engine.images.sources import Source
from engine.jobs import Build, QueryJob, StepsLeft, build_of
from engine.layouts import Choice
from engine.loop import Health, Loop
from engine.model_pool import Load, ModelPool
from engine.prices import work_of
from engine.probes import Probe, ProbeJob
from engine.recipe import Recipe
from engine.run import Floats, Run
from engine.work import Work
from errors import EngineClosed
from models.core import Classifier
from models.download import Progress

T = TypeVar("T")


class Engine(EngineBase):
    """Owns the device and the loaded models of one process, beside what every engine does."""

    device: torch.device

    def __init__(
        self,
        device: torch.device | None = None,
        load: Load | None = None,
        clock: Callable[[], float] = time.monotonic,
        sources: Mapping[str, Source] | None = None,
        model_memory: int | None = None,
    ) -> None:
        """Start idle. ``sources``: where images may come from beside uploads and samples, by name;
        ``model_memory``: bytes of weights that stay in memory, by default `settings.model_memory`."""
        super().__init__(clock, sources)
        self.device = device or pick_device()
        self.costs.batch = batch_rows(self.device)
        # A CPU's cache no longer holds what the layers of 32 images pass on.
        self.at_once = 8 if self.device.type == "cpu" else 32
        self.pool = ModelPool(self.device, load, model_memory)
        self._numbers = itertools.count()
        self._loop = Loop(self.device, self._housekeeping.sweep, clock, self.costs, self.metrics)

    @property
    def healthy(self) -> bool:
        """Say whether runs go on."""
        return self._loop.health.healthy

    def health(self) -> Health:
        """Return whether runs go on, and what broke last."""
        return self._loop.health

    def model(self, name: str, progress: Progress | None = None) -> Classifier:
        """Return the model on the device, loading (and downloading) it at first use.

        Raises `errors.UnknownName` or `errors.WeightsError`.
        """
        return self.pool.get(name, progress)

    def load(self, name: str, progress: Progress | None = None) -> None:
        """Have a model in memory, downloaded if need be; raises as `model` does."""
        self.pool.get(name, progress)

    def networks(self) -> list[str]:
        """Return which models are in memory."""
        return list(self.pool.sizes())

    def sizes(self) -> dict[str, int]:
        """Return the bytes of weights of each model that is in memory."""
        return self.pool.sizes()

    def loaded(self, name: str) -> bool:
        """Say whether the model is in memory already."""
        return name in self.pool

    def layout(self, model: str) -> Choice | None:
        """Return what was chosen of the layouts of a model on this device, None where nothing was yet; raises
        `errors.UnknownName`."""
        return self.pool.choices.get(models.card(model), self.device)

    def answers(self, model: str, x: Floats) -> Floats:
        """Return the logits ``(n, classes)`` of images ``(n, c, h, w)`` in [0, 1]."""
        logits: Floats = self.logits(model, torch.from_numpy(x)).numpy()
        return logits

    def evaluate(
        self, model: str, x: Tensor, objective: Objective | None = None, goal: Criterion | None = None
    ) -> Evaluation:
        """Return the answer to one query about images ``(n, c, h, w)`` in [0, 1], on the CPU: with an
        ``objective`` of the logits also its values and its gradient. ``goal``: what a search is after, the
        same for all images, by which networks taken as one may answer (`models.ensemble`)."""
        x, key = x.to(self.device), f"query-{next(self._numbers)}"
        network = self.pool.acquire(model)
        network = network.against(int(goal.label[0]), goal.targeted) if goal else network
        job = QueryJob(key, network, look(x, objective), partial(self.pool.release, model))
        self._loop.start(job)
        while True:
            try:
                return job.answer.result(timeout=PATIENCE)
            except TimeoutError:
                if job.answer.done():
                    raise  # it came from the network, not from waiting
                self._loop.revive()

    def probe(self, model: str, question: Probe[T]) -> Generator[T]:
        """Yield the answers to a question that looks into a model, as they come; closing it cancels them.

        Raises `errors.UnknownName`, `errors.WeightsError`, and what the question raises."""
        network = self.pool.acquire(model)
        job = ProbeJob(
            f"probe-{next(self._numbers)}",
            network,
            iter(question.pieces(network)),
            partial(self.pool.release, model),
        )
        self._loop.start(job)
        try:
            yield from job.answers(self._loop.revive, PATIENCE)
        finally:
            self._loop.retire(job.id)

    def carry_out(self, work: Work[T]) -> Generator[T]:
        """Yield what a piece of work comes to, computed in this thread; raises what it raises."""
        yield from work.carry_out(self)

    def prepare(self, recipe: Recipe) -> tuple[Run, Build]:
        """Return a new run that has not begun, and what makes its job; raises as `submit` does."""
        run = self.new_run(recipe)
        return run, build_of(run, self.device)

    def begin(self, run: Run, build: Build, steps: StepsLeft) -> None:
        """Let a prepared run begin; raises as `submit` does."""
        name = run.recipe.model
        job = build(self.pool.acquire(name), partial(self.pool.release, name))
        job.steps_left = steps
        run.set_status("paused" if steps is StepsLeft.NONE else "running")
        self.store.add(run)
        try:
            self._loop.start(job)
        except EngineClosed as error:
            job.fail(error)
            raise

    def go_on(self, run: Run, steps: StepsLeft) -> None:
        """Let a run go on so far, `StepsLeft.NONE` to pause it."""
        self._loop.allow(run.id, steps, "paused" if steps is StepsLeft.NONE else "running")

    def retire(self, run: Run, reason: str) -> None:
        """Take a run that is over out of the loop; what is under way for it is thrown away."""
        self._loop.retire(run.id)

    def time(self, recipe: Recipe) -> None:
        """Time what a recipe asks of its network: twice, for the first time may take longer; raises as
        `submit` does."""
        x = torch.from_numpy(self.preprocess(recipe))[None]
        gradients = work_of(recipe).gradients
        for _ in range(2):
            self.evaluate(recipe.model, x, _first_logit if gradients else None)

    def revive(self) -> None:
        """Start the loop again if it died."""
        self._loop.revive()

    def close(self) -> None:
        """Cancel everything, write what is kept of it, and end the engine's threads."""
        self.queue.close()
        self._loop.close()
        self.history.close()


def _first_logit(logits: Tensor) -> Tensor:
    return logits[:, 0]
