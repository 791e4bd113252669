"""The one thread that owns the device: it answers the queries of all jobs in batches, model by model.

Whatever a search, its clean-up or a model raises ends that job alone. Should the loop itself break, every job
fails with `errors.EngineFailed`, `Loop.health` says so, and the loop starts again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from attacks.contract import Evaluation
from engine.answering import answered
from engine.jobs import Job, RunJob, StepsLeft, Task
from engine.metrics import Metrics
from engine.prices import Costs
from engine.probes import WEIGHT, ProbeJob
from engine.scheduler import Scheduler
from errors import EngineClosed, EngineFailed, FoolscopeError

log = logging.getLogger("foolscope")
SECONDS_STUCK = 120.0
"""A loop that has not come round for so long counts as broken."""
LONGEST_REST = 5.0
"""Seconds between a break of the loop and its next start, at most."""
CLOSED = "The server is shutting down."
BROKEN = "The engine broke and has started again; what was running is lost. Start it once more."


@dataclass(frozen=True)
class Health:
    """How the engine is. ``healthy``: its loop comes round. ``breaks``: how often the loop broke since the
    start; ``error``: what it broke of last, "" for nothing; ``jobs``: runs and questions at work."""

    healthy: bool
    breaks: int
    error: str
    jobs: int = 0


class Loop:
    """Carries out jobs on ``device``. ``housekeeping`` is called about once a second, by ``clock``; ``costs``
    learns how long batches take, ``metrics`` counts them."""

    def __init__(
        self,
        device: torch.device,
        housekeeping: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        costs: Costs | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._device, self._housekeeping, self._clock = device, housekeeping, clock
        self._costs, self._metrics = costs or Costs(), metrics or Metrics()
        # Here a batch costs what its own thread worked, not what others took of the processor meanwhile.
        self._worked = time.thread_time if device.type == "cpu" else time.perf_counter
        self._jobs: dict[str, Task] = {}
        self._new: list[Task] = []
        self._retired: list[Task] = []
        self._scheduler = Scheduler(self._costs.batch)
        self._changed = threading.Condition()
        self._closed = False
        self._health, self._breaks_in_a_row = Health(True, 0, ""), 0
        self._swept, self._seen = clock(), time.monotonic()
        self._start_thread()

    @property
    def health(self) -> Health:
        """Return how the loop is."""
        stuck = time.monotonic() - self._seen > SECONDS_STUCK
        healthy = self._health.healthy and self._thread.is_alive() and not stuck
        return Health(healthy, self._health.breaks, self._health.error, len(self._jobs))

    def start(self, job: Task) -> None:
        """Take a job on; raises `errors.EngineClosed` (and releases its model) when no more are taken."""
        with self._changed:
            if self._closed:
                job.release()
                raise EngineClosed(CLOSED)
            self.revive()
            self._jobs[job.id] = job
            self._new.append(job)
            self._changed.notify_all()

    def allow(self, key: str, steps: StepsLeft, status: str) -> None:
        """Let a job go on so far, and set its status; changes nothing when there is no such job."""
        with self._changed:
            job = self._jobs.get(key)
            if job is None:
                return
            job.steps_left = steps
            if steps is StepsLeft.NONE:
                self._scheduler.remove(key)
            else:
                self._schedule(job)
            job.set_status(status)
            self._changed.notify_all()

    def retire(self, key: str) -> None:
        """Take a job out; what is under way for it is thrown away."""
        with self._changed:
            self._scheduler.remove(key)
            job = self._jobs.pop(key, None)
            if job:
                job.closed = True
                self._retired.append(job)
            self._changed.notify_all()

    def close(self) -> None:
        """Fail all jobs with `errors.EngineClosed` and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self._fail_all(EngineClosed(CLOSED))
        self._clean_up()

    def revive(self) -> None:
        """Start the thread again if it is gone; what waited then fails."""
        with self._changed:
            if self._thread.is_alive() or self._closed:
                return
            self._broke(EngineFailed(BROKEN))
            self._start_thread()

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="foolscope-engine", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed and self._thread is threading.current_thread():
            try:
                self._turn()
            except BaseException as error:
                self._broke(error)
                self._rest()
            else:
                self._went_round()

    def _turn(self) -> None:
        with self._changed:
            self._changed.wait_for(self._work, timeout=1.0)
            if self._closed:
                return
            new, self._new = self._new, []
        for job in new:
            self._begin(job)
        with self._changed:
            jobs = [self._jobs[key] for key in self._scheduler.tick()]
        self._clean_up()
        if jobs and isinstance(jobs[0], ProbeJob):
            self._probe(jobs[0])
        if asking := [job for job in jobs if isinstance(job, Job)]:
            self._tick(asking)
        if self._clock() - self._swept > 1.0:
            self._swept = self._clock()
            self._guarded(self._housekeeping)

    def _work(self) -> bool:
        return bool(self._closed or self._retired or self._new or len(self._scheduler))

    def _went_round(self) -> None:
        self._seen = time.monotonic()
        if not self._health.healthy:
            self._health = Health(True, self._health.breaks, self._health.error)
        self._breaks_in_a_row = 0

    def _broke(self, error: BaseException) -> None:
        """Fail every job and forget what the loop knew, which may be what it broke of."""
        log.critical("the engine's loop broke and starts again", exc_info=error)
        self._health = Health(False, self._health.breaks + 1, f"{type(error).__name__}: {error}")
        self._breaks_in_a_row += 1
        with self._changed:
            # Before the jobs fail, in whose place others may begin at once.
            self._scheduler = Scheduler(self._costs.batch)
        self._fail_all(EngineFailed(BROKEN))

    def _rest(self) -> None:
        seconds = min(0.05 * 2**self._breaks_in_a_row, LONGEST_REST)
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout=seconds)

    def _fail_all(self, error: FoolscopeError) -> None:
        with self._changed:
            jobs, self._new = list(self._jobs.values()), []
        for job in jobs:
            self._end(job, None, error)

    def _begin(self, job: Task) -> None:
        """Let a job get ready, so that the scheduler knows how many rows it asks about."""
        try:
            job.start()
        except BaseException as error:
            self._end(job, None, error)
            return
        with self._changed:
            if not job.closed and job.steps_left is not StepsLeft.NONE:
                self._schedule(job)

    def _schedule(self, job: Task) -> None:
        if job.rows:
            self._scheduler.add(job.id, job.group, job.rows)

    def _probe(self, job: ProbeJob[Any]) -> None:
        """Carry out one piece of a probe; its time counts `WEIGHT` times, so that runs come first."""
        began = time.perf_counter()
        try:
            job.carry_on()
        except StopIteration:
            self._end(job, "steps")
        except BaseException as error:
            self._end(job, None, error)
        with self._changed:
            self._scheduler.spent(job.group, WEIGHT * (time.perf_counter() - began))

    def _tick(self, jobs: Sequence[Job]) -> None:
        asking = [job for job in jobs if not self._deliver_held(job)]
        if not asking:
            return
        model, well = asking[0].model.card.name, True
        began, idle = time.perf_counter(), self._worked()
        queries = [job.query for job in asking if job.query is not None]  # what comes next takes their place
        for job, answer in answered(asking, self._scheduler.budget(model), self._device):
            if isinstance(answer, Evaluation):
                self._deliver(job, answer)
            else:
                self._end(job, None, answer)
                well = False
        seconds, worked = time.perf_counter() - began, self._worked() - idle
        with self._changed:
            self._scheduler.spent(model, seconds)
        self._metrics.answered(model, len(queries), sum(len(query.x) for query in queries), seconds)
        if well:
            gradients = any(query.objective is not None for query in queries)
            self._costs.observe(model, sum(len(query.x) for query in queries), gradients, worked)

    def _deliver_held(self, job: Job) -> bool:
        """Deliver the answer that came while the job was paused, if there is one."""
        held, job.held = job.held, None
        if held is not None:
            self._deliver(job, held)
        return held is not None

    def _deliver(self, job: Job, answer: Evaluation) -> None:
        """Record what was read of an answer, and let the search go on from it."""
        try:
            with self._changed:  # between the look at the steps left and the record nobody may pause
                if job.closed:
                    return
                if job.steps_left is StepsLeft.NONE:
                    job.held = answer
                    return
                reason = job.record()
                if job.steps_left is StepsLeft.ONE:
                    job.steps_left = StepsLeft.NONE  # here, since whoever sees the step may ask for another
        except BaseException as error:
            self._end(job, None, error)
            return
        if reason is None:
            self._go_on(job, answer)
        else:
            self._end(job, reason)
        self._pause_spent(job)

    def _go_on(self, job: Job, answer: Evaluation) -> None:
        try:
            job.go_on(answer)
        except StopIteration as end:
            self._end(job, end.value or "steps")
        except BaseException as error:
            self._end(job, None, error)
        else:
            with self._changed:
                self._scheduler.resize(job.id, job.rows)

    def _pause_spent(self, job: Job) -> None:
        """Pause a job that may take no further step."""
        with self._changed:
            if job.steps_left is StepsLeft.NONE and job.id in self._jobs:
                self.allow(job.id, StepsLeft.NONE, "paused")

    def _end(self, job: Task, reason: str | None, error: BaseException | None = None) -> None:
        """End a job that is over for a reason, or that failed with an error."""
        if job.closed:
            return
        self.retire(job.id)
        try:
            if error is None:
                job.finish(reason or "steps")
        except BaseException as fault:
            error = fault
        if error is None:
            return
        self._metrics.failed(error)
        if not isinstance(error, FoolscopeError):
            log.error("job %s failed", job.id[:6], exc_info=error, extra=_facts(job))
        self._guarded(partial(job.fail, error))

    def _clean_up(self) -> None:
        with self._changed:
            retired, self._retired = self._retired, []
        for job in retired:
            self._guarded(job.close)
            self._guarded(job.release)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Carry out what must not stop the loop, whatever it raises."""
        try:
            action()
        except BaseException:
            log.exception("the engine goes on after an error")


def _facts(task: Task) -> dict[str, str]:
    """Return which run a line of the log is about, if it is about one."""
    return {"run": task.id} if isinstance(task, RunJob) else {}
