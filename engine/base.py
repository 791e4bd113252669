"""What pages, routes and scripts ask of an engine, and what a server keeps, whoever computes: uploads, runs,
the queue, files, the database.

`engine.engine.Engine` computes in this process, `engine.remote.remote_engine.RemoteEngine` has replicas that
do; `engine.chosen` makes the one that `settings.engine` names. Images are named by strings, recipes and
predictions are plain data, and a `Run` is a record that whoever follows the run fills. Every method raises
`errors.FoolscopeError`, of which `errors.EngineClosed` and `errors.EngineFailed` say that the engine itself
is gone. The work is done elsewhere: `engine.pictures` opens images, `engine.classification` ranks classes,
`engine.runs` finds runs, `engine.queue` has them begin in turn, and `engine.housekeeping` sees to those that
nobody reads.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from PIL import Image
from torch import Tensor

import models
from attacks.contract import Criterion, Evaluation, Objective
from engine.classification import Rankings, classify_many
from engine.export.exports import Exports
from engine.export.making import Export, Wanted
from engine.history.history import History
from engine.history.records import RunRecord
from engine.housekeeping import Housekeeping
from engine.images.sources import Source
from engine.jobs import Build, StepsLeft, new_run
from engine.layouts import Choice
from engine.loop import Health
from engine.metrics import Metrics
from engine.pictures import Pictures
from engine.places import Place
from engine.prices import Costs, Price
from engine.probes import Probe
from engine.queue import RunQueue
from engine.recipe import Recipe
from engine.run import Floats, Prediction, Run
from engine.runs import Runs
from engine.sentences import Said
from engine.store import Store
from engine.work import Work
from errors import FoolscopeError
from models.core import Crop
from models.download import Progress

T = TypeVar("T")
log = logging.getLogger("foolscope")
PATIENCE = 5.0
"""Seconds between two looks of a waiting caller at whether whoever computes is alive."""


class EngineBase(ABC):
    """Owns the runs and the uploads of one process. ``device``: what computes, as text; ``at_once``: how
    many images of a folder, or runs of an evaluation, are asked about together."""

    device: object
    at_once = 8

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        """Start idle. ``sources``: where images may come from beside uploads and samples, by name."""
        self.clock, self.store = clock, Store()
        self.costs, self.metrics = Costs(), Metrics()
        self._pictures = Pictures(lambda token: self.history.upload(token), sources)
        self.uploads = self._pictures.uploads
        self._housekeeping = Housekeeping(self.store, self, clock)
        self.history = History(self._pictures.upload, written=self._housekeeping.written)
        self._rankings = Rankings(self.answers, self._pictures.seen)
        self._exports = Exports(self)
        self._runs = Runs(self.store, self.history, self.preprocess, self.cancel, self._exports.forget)
        self.queue = RunQueue(self, self.costs, clock=clock, metrics=self.metrics)

    @abstractmethod
    def health(self) -> Health:
        """Return whether runs go on, and what broke last."""

    @abstractmethod
    def load(self, name: str, progress: Progress | None = None) -> None:
        """Have a model in memory, downloaded if need be.

        Raises `errors.UnknownName` or `errors.WeightsError`.
        """

    @abstractmethod
    def networks(self) -> list[str]:
        """Return which models are in memory, here or elsewhere."""

    def sizes(self) -> dict[str, int]:
        """Return the bytes of weights of each model that this process has in memory."""
        return {}

    @abstractmethod
    def loaded(self, name: str) -> bool:
        """Say whether a model is in memory already."""

    @abstractmethod
    def layout(self, model: str) -> Choice | None:
        """Return what was chosen of the layouts of a model, None where that is not known here."""

    @abstractmethod
    def answers(self, model: str, x: Floats) -> Floats:
        """Return the logits ``(n, classes)`` of images ``(n, c, h, w)`` in [0, 1]."""

    @abstractmethod
    def evaluate(
        self, model: str, x: Tensor, objective: Objective | None = None, goal: Criterion | None = None
    ) -> Evaluation:
        """Return the answer to one query about images ``(n, c, h, w)`` in [0, 1], on the CPU: with an
        ``objective`` of the logits also its values and gradient. ``goal``: what a search is after.

        An objective is the one argument that is code: as it depends on the logits alone, a remote engine
        needs only its slope in them, so it answers in two rounds (`engine.batch`).
        """

    @abstractmethod
    def probe(self, model: str, question: Probe[T]) -> Generator[T]:
        """Yield the answers to a question that looks into a model, as they come; closing it cancels them."""

    @abstractmethod
    def carry_out(self, work: Work[T]) -> Generator[T]:
        """Yield what a piece of work comes to; raises what it raises."""

    @abstractmethod
    def prepare(self, recipe: Recipe) -> tuple[Run, Build]:
        """Return a new run that has not begun, and what makes its job; raises as `submit` does."""

    @abstractmethod
    def time(self, recipe: Recipe) -> None:
        """Time what a recipe asks of its network; raises as `submit` does."""

    @abstractmethod
    def begin(self, run: Run, build: Build, steps: StepsLeft) -> None:
        """Let a prepared run begin; raises as `submit` does."""

    @abstractmethod
    def go_on(self, run: Run, steps: StepsLeft) -> None:
        """Let a run go on so far, `StepsLeft.NONE` to pause it."""

    @abstractmethod
    def retire(self, run: Run, reason: str) -> None:
        """Take a run that is over from whoever computes; what is under way for it is thrown away."""

    def new_run(self, recipe: Recipe) -> Run:
        """Return a run that has not begun; raises as `submit` does."""
        ranking = self.classify(recipe.model, recipe.image, recipe.crop)
        return new_run(recipe, ranking, self.preprocess(recipe), self.clock)

    @abstractmethod
    def revive(self) -> None:
        """See to it that whoever computes is alive."""

    def close(self) -> None:
        """Let no run begin any more, and write what is kept."""
        self.queue.close()
        self.history.close()

    def logits(self, model: str, x: Tensor) -> Tensor:
        """Return the logits ``(n, classes)`` of images ``(n, c, h, w)`` in [0, 1], on the CPU."""
        return self.evaluate(model, x).logits

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

        See `engine.classification.classify_many`. ``rows`` images share a forward pass (0: `at_once`).
        """
        return classify_many(
            self.answers, models.card(model), pictures, crop, k, rows or self.at_once, prepare
        )

    def picture(self, image: str) -> Image.Image:
        """Return the upload, the sample or the image of a source called ``image`` (8-bit RGB)."""
        return self._pictures.open(image)

    def preprocess(self, recipe: Recipe) -> Floats:
        """Return what the recipe's model sees of its image: ``(c, size, size)`` in [0, 1]."""
        return self._pictures.seen(models.card(recipe.model), recipe.image, recipe.crop)

    def notes(self, image: str) -> tuple[Said, ...]:
        """Return what was noted when an upload was read, nothing for others; raises as `picture` does."""
        return self._pictures.notes(image)

    def classify(self, model: str, image: str, crop: Crop | None = None) -> list[Prediction]:
        """Return every class of the model with its probability, the most probable first."""
        return self._rankings.of(model, image, crop)

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
            self.revive()

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

    def export(self, run: Run, wanted: Wanted) -> Export:
        """Return a file of a run, read back and classified; see `engine.export.exports.Exports.get`."""
        return self._exports.get(run, wanted)

    def exported(self, run: Run, wanted: Wanted) -> Export | None:
        """Return a file of a run if it was made before."""
        return self._exports.known(run, wanted)


def _log(run: Run) -> None:
    """Let each change of a run's status be a line of the log."""
    facts, recipe = {"run": run.id}, run.recipe

    def note() -> None:
        log.info("run %s on %s by %s: %s", run.id[:6], recipe.model, recipe.attack, run.status, extra=facts)

    run.listen(note)
