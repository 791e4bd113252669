"""The engine: one thread owns the device and answers the questions of all runs.

submit(recipe) -> Run       what a page, a route and a script call
classify, classify_many     what a network sees in one picture, or in a folder of them
stream(run, start)          the steps as they come
pause, resume, step, cancel at the next step boundary, at once for the reader
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import models
import settings
from attacks.contract import Attack, Criterion, Evaluation, Objective, Query, ReasonedSearch
from attacks.toolkit.mask import masked
from attacks.toolkit.probes import look
from engine import saved
from engine.batch import check, evaluate
from engine.images import handwriting
from engine.images.sources import PREPARED, UPLOAD, Source, Uploads, open_image
from engine.recipe import Recipe
from engine.run import Floats, Outcome, Run
from engine.scheduler import Scheduler
from engine.sentences import Said
from engine.store import Store
from errors import BadSetting, BadTarget, EngineClosed, FoolscopeError
from models.core import Card, Classifier, Crop

log = logging.getLogger("foolscope")
Load = Callable[[str, Callable[[int, int], None] | None], Classifier]
ABANDONED_AFTER = 60.0
READERS = 2
"""Threads that read the pictures of a batch: as many as may decode at once (`engine.images.sources`)."""


@dataclass
class Job:
    """One search on one model. ``receive`` gets each answered query and returns a reason to
    stop, or None; ``done`` gets that reason, at the search's own end what it returned or else "steps", or
    the error, once. ``held``: an answer that came while the job was paused, to be delivered when it goes
    on."""

    id: str
    model: Classifier
    search: ReasonedSearch
    receive: Callable[[Query, Evaluation], str | None]
    done: Callable[[str | None, Exception | None], None]
    allowance: float = math.inf
    query: Query | None = None
    held: Evaluation | None = None
    closed: bool = False


def _load(name: str, progress: Callable[[int, int], None] | None) -> Classifier:
    return models.load(name, progress=progress)


def pick_device() -> torch.device:
    """Return ``FOOLSCOPE_DEVICE``, else CUDA, else MPS, else the CPU.

    Raises `errors.BadSetting` when the one that is named is not there.
    """
    named = settings.device()
    if named:
        try:
            return torch.empty(0, device=named).device
        except (RuntimeError, AssertionError) as error:
            raise BadSetting(
                f"Expected FOOLSCOPE_DEVICE to name a device of this machine (cpu, cuda, mps), got “{named}”."
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


class Engine:
    """Owns the device, the loaded models, the runs and the uploads of one process."""

    def __init__(
        self,
        device: torch.device | None = None,
        load: Load = _load,
        clock: Callable[[], float] = time.monotonic,
        sources: Mapping[str, Source] | None = None,
    ) -> None:
        """Start idle. ``sources``: where pictures may come from beside uploads and samples, by name."""
        self._sources = dict(sources or {})
        self.device = device or pick_device()
        self.uploads = Uploads()
        self.store = Store()
        self._load, self._clock = load, clock
        self._models: dict[str, Classifier] = {}
        self._loading: dict[str, threading.Lock] = {}
        self._seen: dict[tuple[str, str, Crop | None], list[Outcome]] = {}
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count()
        self._retired: list[Job] = []
        self._scheduler = Scheduler()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="foolscope-engine", daemon=True)
        self._thread.start()

    def model(self, name: str, progress: Callable[[int, int], None] | None = None) -> Classifier:
        """Return the model on the device, loading (and downloading) it at first use.

        Raises `errors.UnknownName` or `errors.WeightsError`.
        """
        with self._wake:
            lock = self._loading.setdefault(name, threading.Lock())
        with lock:
            if name not in self._models:
                self._models[name] = self._load(name, progress).to(self.device)
            return self._models[name]

    def loaded(self, name: str) -> bool:
        """Say whether the model is in memory already."""
        return name in self._models

    def picture(self, image: str) -> Image.Image:
        """Return the upload, the sample or the picture of a source called ``image`` (8-bit RGB)."""
        return open_image(image, self.uploads, sources=self._sources)

    def see(self, recipe: Recipe) -> Tensor:
        """Return what the recipe's model sees of its image: ``(c, size, size)`` in [0, 1]."""
        return self._see(models.card(recipe.model), recipe.image, recipe.crop)

    def _see(self, card: Card, image: str, crop: Crop | None) -> Tensor:
        prepared = crop is not None and image.startswith(PREPARED)
        picture = self.picture(image.removeprefix(PREPARED) if prepared else image)
        return handwriting.see(card, picture, crop, prepared)

    def notes(self, image: str) -> tuple[Said, ...]:
        """Return what was noted when an upload was read, nothing for others; raises as `picture` does."""
        plain = image.removeprefix(PREPARED)
        return self.uploads.notes(plain) if plain.startswith(UPLOAD) else ()

    def classify(self, model: str, image: str, crop: Crop | None = None) -> list[Outcome]:
        """Return every class of the model with its probability, the most probable first."""
        key = (model, image, crop)
        if key not in self._seen:
            card = models.card(model)
            x = self._see(card, image, crop)
            logits = self.ask(model, x[None])[0]
            if len(self._seen) > 512:
                self._seen.clear()
            self._seen[key] = _ranking(logits, card)
        return self._seen[key]

    def classify_many(
        self,
        model: str,
        pictures: Iterable[Callable[[], Image.Image]],
        crop: Crop | None = None,
        k: int = 5,
        rows: int = 0,
        prepare: Callable[[Image.Image], bool] | None = None,
    ) -> Iterator[list[Outcome] | FoolscopeError]:
        """Yield, for each picture in order, its ``k`` most probable classes, or why it could not be read.

        ``pictures``: functions that return a picture or raise `errors.FoolscopeError`; threads call them.
        ``rows`` pictures share a forward pass, during which the next ones are read; more are never in memory
        (0: 8 on a CPU, whose cache no longer holds what the layers of 32 pictures pass on; else 32).
        ``prepare`` says which pictures are to be prepared as MNIST does; none by default.
        """
        rows = rows or (8 if self.device.type == "cpu" else 32)
        see = partial(_see, models.card(model), crop, prepare)
        coming = iter(pictures)
        pool = ThreadPoolExecutor(READERS)
        try:
            reading = [pool.submit(see, picture) for picture in islice(coming, rows)]
            while reading:
                read = [future.result() for future in reading]
                reading = [pool.submit(see, picture) for picture in islice(coming, rows)]
                yield from self._answers(model, read, k)
        finally:
            pool.shutdown(cancel_futures=True)

    def _answers(
        self, model: str, read: list[Tensor | FoolscopeError], k: int
    ) -> Iterator[list[Outcome] | FoolscopeError]:
        """Classify what could be read in one batch; pass on why the others could not."""
        xs = [x for x in read if isinstance(x, Tensor)]
        logits = iter(self.ask(model, torch.stack(xs)) if xs else ())
        card = models.card(model)
        for x in read:
            yield _ranking(next(logits), card, k) if isinstance(x, Tensor) else x

    def ask(self, model: str, x: Tensor) -> Tensor:
        """Return the logits ``(n, classes)`` of pictures ``(n, c, h, w)`` in [0, 1], on the CPU."""
        return self.inquire(model, x).logits

    def inquire(self, model: str, x: Tensor, objective: Objective | None = None) -> Evaluation:
        """Return the answer to one query about pictures ``(n, c, h, w)`` in [0, 1], on the CPU: with an
        ``objective`` of the logits also its values and its gradient."""
        answer: Future[Evaluation] = Future()

        def receive(_: Query, evaluation: Evaluation) -> None:
            parts = (None if part is None else part.float().cpu() for part in evaluation)
            answer.set_result(Evaluation(*parts))  # type: ignore[arg-type]  # logits are never None

        def done(_: str | None, error: Exception | None) -> None:
            if error:
                answer.set_exception(error)

        key = f"look-{next(self._numbers)}"
        self._start(Job(key, self.model(model), look(x.to(self.device), objective), receive, done))
        return answer.result()

    def submit(self, recipe: Recipe, paused: bool = False) -> Run:
        """Start a run and return it at once.

        Raises `errors.FoolscopeError` (a subclass that says which) when the recipe cannot be run:
        an unknown name, a setting out of range, missing weights, a target that is the current class.
        """
        recipe.check()
        attack, card = recipe.build(), models.card(recipe.model)
        original = self.classify(recipe.model, recipe.image, recipe.crop)[0]
        if recipe.target == original.index:
            raise BadTarget(
                "The network already says {label} ({share}); expected a target that is another class.",
                label=original.label,
                share=f"{original.probability:.0%}",
            )
        model, x = self.model(recipe.model), self.see(recipe)[None].to(self.device)
        aim = original.index if recipe.target is None else recipe.target
        criterion = Criterion(torch.tensor([aim], device=self.device), recipe.target is not None)
        run = Run(recipe, card.labels, x[0], original.index, attack.updates(), criterion, self._clock)
        run.answers_again = _log_probabilities(self.classify(recipe.model, recipe.image, recipe.crop))
        rng = torch.Generator().manual_seed(recipe.seed)
        search = attack.search(x, criterion, rng)
        if recipe.region:
            search = masked(search, x, recipe.region.mask(x))
        job = Job(run.id, model, search, *_recorder(run, attack))
        job.allowance = 0 if paused else math.inf
        self.store.add(run)
        self._start(job)
        run.turn("paused" if paused else "running")
        return run

    def run(self, key: str) -> Run:
        """Return the run with this id, one that ships included, or raise `errors.UnknownName`."""
        if key.startswith(saved.PREFIX) and not self.store.holds(key):
            self.store.add(saved.read(key.removeprefix(saved.PREFIX)))
        return self.store.get(key)

    def stream(self, run: Run, start: int = 0) -> Iterator[int]:
        """Yield the index of each recorded step from ``start`` on, as they come, until the run is over."""
        seen = start
        while True:
            run.touch()
            run.wait(seen, timeout=5.0)
            while seen < len(run):
                yield seen
                seen += 1
            if run.over and seen >= len(run):
                return

    def pause(self, run: Run) -> None:
        """Stop answering: the run keeps its place and takes no device time."""
        self._allow(run, 0.0, "paused")

    def resume(self, run: Run) -> None:
        """Go on where the run was paused."""
        self._allow(run, math.inf, "running")

    def step(self, run: Run) -> None:
        """Take exactly one more step, then pause."""
        self._allow(run, 1.0, "running")

    def cancel(self, run: Run, reason: str = "cancelled") -> None:
        """End the run now; an answer that is under way is thrown away."""
        run.turn("cancelled", reason)
        self._retire(run.id)

    def close(self) -> None:
        """Cancel everything and end the engine's thread."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        self._thread.join()
        for job in list(self._jobs.values()):
            self._finish(job, None, EngineClosed("The server is shutting down."))
        self._close_searches()

    def _start(self, job: Job) -> None:
        with self._wake:
            if self._closed:
                raise EngineClosed("The server is shutting down.")
            self._jobs[job.id] = job
            if job.allowance > 0:
                self._scheduler.add(job.id, job.model.card.name)
            self._wake.notify_all()

    def _allow(self, run: Run, steps: float, status: str) -> None:
        with self._wake:
            job = self._jobs.get(run.id)
            if job is None or run.over:
                return
            job.allowance = steps
            if steps > 0:
                self._scheduler.add(job.id, job.model.card.name)
            else:
                self._scheduler.remove(job.id)
            run.turn(status)
            self._wake.notify_all()

    def _retire(self, key: str) -> None:
        with self._wake:
            self._scheduler.remove(key)
            job = self._jobs.pop(key, None)
            if job:
                job.closed = True
                self._retired.append(job)
            self._wake.notify_all()

    def _loop(self) -> None:
        swept = self._clock()
        while True:
            with self._wake:
                self._wake.wait_for(
                    lambda: self._closed or self._retired or len(self._scheduler), timeout=1.0
                )
                if self._closed:
                    return
                jobs = [self._jobs[key] for key in self._scheduler.tick()]
            self._close_searches()
            if jobs:
                self._tick(jobs)
            if self._clock() - swept > 1.0:
                swept = self._clock()
                self._sweep()

    def _tick(self, jobs: list[Job]) -> None:
        asking = [job for job in jobs if not self._deliver_held(job) and self._ready(job)]
        if not asking:
            return
        try:
            answers = evaluate(asking[0].model, [j.query for j in asking if j.query], self._scheduler.budget)
        except torch.OutOfMemoryError as error:
            self._out_of_memory(asking, error)
        except Exception as error:
            self._apart(asking, error)
        else:
            for job, answer in zip(asking, answers, strict=True):
                self._deliver(job, answer)

    def _deliver_held(self, job: Job) -> bool:
        """Deliver the answer that came while the job was paused, if there is one."""
        held, job.held = job.held, None
        if held is not None:
            self._deliver(job, held)
        return held is not None

    def _ready(self, job: Job) -> bool:
        """Make sure the job's next question is known; the first one is asked here."""
        if job.query is None:
            try:
                job.query = next(job.search)
            except Exception as error:
                self._finish(job, None, error)
        return job.query is not None

    def _apart(self, jobs: list[Job], error: Exception) -> None:
        """A batch raised: find whose question it was by asking one by one."""
        if len(jobs) == 1:
            self._finish(jobs[0], None, error)
            return
        for job in jobs:
            self._tick([job])

    def _out_of_memory(self, jobs: list[Job], error: Exception) -> None:
        with self._wake:
            budget = self._scheduler.halve()
        torch.cuda.empty_cache()
        log.warning("out of memory with %d runs in a batch: going on with at most %d rows", len(jobs), budget)
        if len(jobs) == 1:
            self._finish(jobs[0], None, error)
            return
        half = len(jobs) // 2
        self._tick(jobs[:half])
        self._tick(jobs[half:])

    def _deliver(self, job: Job, answer: Evaluation) -> None:
        try:
            check(answer)
            with self._wake:  # between the look at the allowance and the record nobody may pause
                if job.closed or job.query is None:
                    return
                if job.allowance == 0:
                    job.held = answer
                    return
                reason = job.receive(job.query, answer)
            if reason is None:
                job.query = job.search.send(answer)
        except StopIteration as end:
            self._finish(job, end.value or "steps", None)
        except Exception as error:
            self._finish(job, None, error)
        else:
            if reason is not None:
                self._finish(job, reason, None)
            self._spend(job)

    def _spend(self, job: Job) -> None:
        with self._wake:
            if job.allowance == 0 or job.id not in self._jobs:
                return
            job.allowance -= 1
            if job.allowance == 0:
                self._scheduler.remove(job.id)
                with contextlib.suppress(FoolscopeError):
                    self.store.get(job.id).turn("paused")

    def _finish(self, job: Job, reason: str | None, error: Exception | None) -> None:
        if job.closed:
            return
        if error and not isinstance(error, FoolscopeError):
            log.error("run %s failed", job.id[:6], exc_info=error)
        self._retire(job.id)
        job.done(reason, error)

    def _close_searches(self) -> None:
        with self._wake:
            retired, self._retired = self._retired, []
        for job in retired:
            job.search.close()

    def _sweep(self) -> None:
        for run in self.store.all():
            if not run.over and self._clock() - run.read_at > ABANDONED_AFTER:
                self.cancel(run, "abandoned")


def _recorder(
    run: Run, attack: Attack
) -> tuple[Callable[[Query, Evaluation], str | None], Callable[[str | None, Exception | None], None]]:
    """Return what a run's job does with each answer and at its end."""
    reached = run.recipe.stop.watch(run.criterion)

    def receive(query: Query, answer: Evaluation) -> str | None:
        if run.over:
            return "cancelled"
        run.append(query.x, answer)
        return run.recipe.stop.rule if len(run) > 1 and reached(answer.logits[:1]) else None

    def done(reason: str | None, error: Exception | None) -> None:
        if error:
            known = isinstance(error, FoolscopeError)
            run.turn(
                "failed",
                "failed",
                str(error) if known else f"The run failed: {type(error).__name__}: {error}",
            )
        else:
            if reason in attack.dead_ends:
                run.dead_end, reason = reason, "dead end"
            early = reason == "steps" and len(run) <= run.total
            run.turn("finished", "ended" if early and attack.ends else reason)

    return receive, done


def _log_probabilities(ranking: list[Outcome]) -> Floats:
    """Return ``(classes,)``, by class."""
    row = np.empty(len(ranking), np.float32)
    row[[each.index for each in ranking]] = [each.probability for each in ranking]
    return np.log(np.maximum(row, 1e-38))


def _see(
    card: Card,
    crop: Crop | None,
    prepare: Callable[[Image.Image], bool] | None,
    open_picture: Callable[[], Image.Image],
) -> Tensor | FoolscopeError:
    """Return what the network sees of a picture, or why it cannot be read."""
    try:
        picture = open_picture()
        return handwriting.see(card, picture, crop, prepare is not None and prepare(picture))
    except FoolscopeError as error:
        return error


def _ranking(logits: Tensor, card: Card, k: int | None = None) -> list[Outcome]:
    """Return the ``k`` most probable classes, or all, the most probable first."""
    p = torch.softmax(logits, 0)
    order = p.argsort(descending=True, stable=True)[:k]
    return [Outcome(i, card.labels[i], q) for i, q in zip(order.tolist(), p[order].tolist(), strict=True)]
