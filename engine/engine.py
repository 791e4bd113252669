"""The engine of this process: what pages, routes and scripts call (see `engine.interface`).

The work is done elsewhere: `engine.loop` answers the queries of all runs on the one device,
`engine.model_pool` holds the networks, `engine.pictures` opens images, `engine.classification` ranks classes,
`engine.runs` finds runs, and `engine.housekeeping` sees to those that nobody reads.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

import models
from attacks.contract import Criterion, Evaluation, Objective
from attacks.toolkit.probes import look
from engine.classification import Rankings, classify_many
from engine.device import pick_device
from engine.export.exports import Exports
from engine.export.making import Export, Wanted
from engine.history.history import History
from engine.history.records import RunRecord
from engine.housekeeping import Housekeeping
from engine.images.sources import Source
from engine.jobs import Build, QueryJob, StepsLeft, run_job
from engine.layouts import Choice
from engine.loop import Health, Loop
from engine.metrics import Metrics
from engine.model_pool import Load, ModelPool
from engine.pictures import Pictures
from engine.places import Place
from engine.prices import Costs, Price, work_of
from engine.probes import Probe, ProbeJob
from engine.queue import RunQueue
from engine.recipe import Recipe
from engine.run import Floats, Prediction, Run
from engine.runs import Runs
from engine.sentences import Said
from engine.store import Store
from engine.work import Work
from errors import EngineClosed, FoolscopeError
from models.core import Classifier, Crop
from models.download import Progress

T = TypeVar("T")
log = logging.getLogger("foolscope")
PATIENCE = 5.0
"""Seconds between two looks of a waiting caller at whether the loop is alive."""


class Engine:
    """Owns the device, the loaded models, the runs and the uploads of one process."""

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
        self.device = device or pick_device()
        self.clock, self.store = clock, Store()
        self.costs, self.metrics = Costs(), Metrics()
        self.pool = ModelPool(self.device, load, model_memory)
        self._pictures = Pictures(lambda token: self.history.upload(token), sources)
        self.uploads = self._pictures.uploads
        self._housekeeping = Housekeeping(self.store, self, clock)
        self.history = History(self._pictures.upload, written=self._housekeeping.written)
        self._rankings = Rankings(self.logits, self._pictures.preprocess)
        self._numbers, self._exports = itertools.count(), Exports(self)
        self._runs = Runs(self.store, self.history, self._seen, self.cancel, self._exports.forget)
        self._loop = Loop(self.device, self._housekeeping.sweep, clock, self.costs, self.metrics)
        self.queue = RunQueue(self, self.costs, clock=clock, metrics=self.metrics)

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

    def loaded(self, name: str) -> bool:
        """Say whether the model is in memory already."""
        return name in self.pool

    def layout(self, model: str) -> Choice | None:
        """Return what was chosen of the layouts of a model on this device, None where nothing was yet; raises
        `errors.UnknownName`."""
        return self.pool.choices.get(models.card(model), self.device)

    def picture(self, image: str) -> Image.Image:
        """Return the upload, the sample or the image of a source called ``image`` (8-bit RGB)."""
        return self._pictures.open(image)

    def preprocess(self, recipe: Recipe) -> Tensor:
        """Return what the recipe's model sees of its image: ``(c, size, size)`` in [0, 1]."""
        return self._pictures.preprocess(models.card(recipe.model), recipe.image, recipe.crop)

    def _seen(self, recipe: Recipe) -> Floats:
        return self._pictures.seen(models.card(recipe.model), recipe.image, recipe.crop)

    def notes(self, image: str) -> tuple[Said, ...]:
        """Return what was noted when an upload was read, nothing for others; raises as `picture` does."""
        return self._pictures.notes(image)

    def classify(self, model: str, image: str, crop: Crop | None = None) -> list[Prediction]:
        """Return every class of the model with its probability, the most probable first."""
        return self._rankings.of(model, image, crop)

    def classify_many(
        self,
        model: str,
        pictures: Iterable[Callable[[], Image.Image]],
        crop: Crop | None = None,
        k: int = 5,
        rows: int = 0,
        prepare: Callable[[Image.Image], bool] | None = None,
    ) -> Iterator[list[Prediction] | FoolscopeError]:
        """Yield, for each image in order, its ``k`` most probable classes, or why it could not be read.

        See `engine.classification.classify_many`. ``rows`` images share a forward pass (0: 8 on a CPU, whose
        cache no longer holds what the layers of 32 images pass on; else 32).
        """
        rows = rows or (8 if self.device.type == "cpu" else 32)
        return classify_many(self.logits, models.card(model), pictures, crop, k, rows, prepare)

    def logits(self, model: str, x: Tensor) -> Tensor:
        """Return the logits ``(n, classes)`` of images ``(n, c, h, w)`` in [0, 1], on the CPU."""
        return self.evaluate(model, x).logits

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

    def submit(self, recipe: Recipe, paused: bool = False, owner: str = "") -> Run:
        """Start a run and return it at once. ``owner``: a string that nobody can guess, for whom the run is
        kept in the database; "" for nobody.

        Raises `errors.FoolscopeError` (a subclass that says which) when the recipe cannot be run:
        an unknown name, a setting out of range, missing weights, a target that is the current class.
        """
        recipe.check()
        run, build = self.prepare(recipe)
        _log(run)
        self.begin(run, build, StepsLeft.NONE if paused else StepsLeft.ALL)
        if owner:
            self.history.record(run, owner)
        return run

    def enqueue(
        self,
        recipe: Recipe,
        person: str,
        allowance: float | None = None,
        owner: str = "",
        most: int | None = None,
    ) -> Run:
        """Return a run that waits in the queue and begins by itself; see `engine.queue.RunQueue.submit`.

        ``person``: any string, whose runs share what one person may have, ``most`` at the same time
        (`settings.runs_per_person`); ``allowance``: seconds of the device's time that the run may cost;
        ``owner``: as in `submit`. Raises `errors.OverAllowance` and
        `errors.TooManyRuns`, and as `submit` does.
        """
        run = self.queue.submit(recipe, person, allowance, most)
        _log(run)
        self.store.add(run)
        if owner:
            self.history.record(run, owner)
        return run

    def place(self, key: str) -> Place | None:
        """Return where a run stands in the queue, None unless it waits there."""
        return self.queue.place(key)

    def price(self, recipe: Recipe) -> Price:
        """Return what a recipe costs; raises `errors.UnknownName` or `errors.BadSetting`."""
        return self.queue.price(recipe)

    def prepare(self, recipe: Recipe) -> tuple[Run, Build]:
        """Return a new run that has not begun, and what makes its job; raises as `submit` does."""
        ranking = self.classify(recipe.model, recipe.image, recipe.crop)
        return run_job(recipe, ranking, self.preprocess(recipe), self.device, self.clock)

    def time(self, recipe: Recipe) -> None:
        """Time what a recipe asks of its network: twice, for the first time may take longer; raises as
        `submit` does."""
        x = self.preprocess(recipe)[None]
        gradients = work_of(recipe).gradients
        for _ in range(2):
            self.evaluate(recipe.model, x, _first_logit if gradients else None)

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

    def run(self, key: str) -> Run:
        """Return the run with this id, one that ships or is in the database included, or raise
        `errors.UnknownName`."""
        return self._runs.get(key)

    def look_up(self, key: str) -> Run | None:
        """Return the run with this id without remembering it, None where it is gone; raises
        `errors.UnknownName` when it cannot be read."""
        return self._runs.look_up(key)

    def own_runs(self, owner: str, number: int) -> list[RunRecord]:
        """Return an owner's newest runs, ``number`` at most; raises `errors.HistoryFailed`."""
        return self.history.runs(owner, number)

    def rename_run(self, owner: str, key: str, name: str) -> None:
        """Call an owner's run ``name``; raises `errors.UnknownName`, `errors.HistoryFailed`."""
        self.history.rename(owner, key, name)

    def delete_runs(self, owner: str, keys: Sequence[str] | None = None) -> None:
        """Delete an owner's runs, by default all; those that go on end. Raises `errors.HistoryFailed`."""
        self._runs.forget(self.history.delete(owner, keys))

    def delete_all_runs(self, owners: Sequence[str]) -> None:
        """Delete all runs of several owners; those that go on end. Raises `errors.HistoryFailed`."""
        self._runs.forget(self.history.delete_all(owners))

    def follow(self, run: Run, start: int = 0) -> Iterator[int]:
        """Yield the index of each recorded step from ``start`` on, as they come, until the run is over."""
        seen = start
        while True:
            run.touch()
            run.wait(seen, timeout=PATIENCE)
            while seen < len(run):
                yield seen
                seen += 1
            if run.over and seen >= len(run):
                return
            self._loop.revive()

    def pause(self, run: Run) -> None:
        """Stop answering: the run keeps its place and takes no device time.

        This and the next three raise `errors.NotAllowed` for a run that goes on on another server.
        """
        self._runs.check_here(run)
        if not self.queue.pause(run):
            self.go_on(run, StepsLeft.NONE)

    def resume(self, run: Run) -> None:
        """Go on where the run was paused; a run of the queue waits first if it has lost its place."""
        self._runs.check_here(run)
        if not self.queue.resume(run, StepsLeft.ALL):
            self.go_on(run, StepsLeft.ALL)

    def step(self, run: Run) -> None:
        """Take exactly one more step, then pause."""
        self._runs.check_here(run)
        if not self.queue.resume(run, StepsLeft.ONE):
            self.go_on(run, StepsLeft.ONE)

    def cancel(self, run: Run, reason: str = "cancelled") -> None:
        """End the run now; an answer that is under way is thrown away."""
        self._runs.check_here(run)
        run.set_status("cancelled", reason)
        self.retire(run, reason)

    def retire(self, run: Run, reason: str) -> None:
        """Take a run that is over out of the loop; what is under way for it is thrown away."""
        self._loop.retire(run.id)

    def export(self, run: Run, wanted: Wanted) -> Export:
        """Return a file of a run, read back and classified; see `engine.export.exports.Exports.get`."""
        return self._exports.get(run, wanted)

    def exported(self, run: Run, wanted: Wanted) -> Export | None:
        """Return a file of a run if it was made before."""
        return self._exports.known(run, wanted)

    def close(self) -> None:
        """Cancel everything, write what is kept of it, and end the engine's threads."""
        self.queue.close()
        self._loop.close()
        self.history.close()


def _log(run: Run) -> None:
    """Let each change of a run's status be a line of the log."""
    facts, recipe = {"run": run.id}, run.recipe

    def note() -> None:
        log.info("run %s on %s by %s: %s", run.id[:6], recipe.model, recipe.attack, run.status, extra=facts)

    run.listen(note)


def _first_logit(logits: Tensor) -> Tensor:
    return logits[:, 0]
