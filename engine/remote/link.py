"""One run that is carried out elsewhere, as the page's server has it: its steps come over a socket.

Pause, step and cancel hold here at once: what was computed meanwhile is held back until the run goes on. When
the replica dies, another one goes on from the last step that came here with all that its attack remembers
(`Lease`), or, where an attack keeps that to itself, begins the run again from its recipe and seed, if that is
soon done; otherwise the run ends with a sentence. The other one sends the steps that are missing; the last
step that is here must come out again as it was.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import aclosing

import numpy as np

from engine.jobs import StepsLeft, resumable, words
from engine.prices import Costs
from engine.remote.client import (
    BETWEEN_TRIES,
    UNREACHABLE,
    Client,
    Ending,
    Interrupted,
    Lease,
    Opening,
    Orders,
    Steps,
)
from engine.run import SCALARS, Floats, Observation, Run
from errors import EngineClosed, EngineFailed, FoolscopeError

log = logging.getLogger("foolscope")
GIVE_UP_AFTER = 8
"""Tries in a row, without a step, after which a run fails."""
LONGEST_WAIT = 5.0
"""Seconds between two tries, at most."""
SAME = 0.05
"""How much a probability may differ when a step is computed again elsewhere: as much as batches of other
sizes may change it in the course of a run."""
SOON = 4.0
"""Seconds of work that may be done again elsewhere: with finding another replica, within five."""
LOST = (
    "The machine that computed this run was lost at step {step}, and this attack cannot go on elsewhere from "
    "there: start the run once more."
)
OTHERWISE = (
    "The run was interrupted at step {step}, and computed again elsewhere it came out otherwise: start it "
    "once more."
)
LENGTHS = SCALARS.index("queries")
QUERIES, GRADIENTS, SECONDS = (SCALARS.index(name) for name in ("queries", "gradients", "seconds"))


class Link:
    """``placed``: whether the run is to go where its model is in memory; ``over``: called once it is over.

    ``replica``: where the run is, as that calls itself; ``heard``: how many orders it has carried out;
    ``moves``: how often the run had to go elsewhere; ``lease``: from where it would go on there.
    """

    def __init__(
        self, client: Client, run: Run, costs: Costs, placed: bool, over: Callable[[], None]
    ) -> None:
        self._client, self._run, self._costs, self._over = client, run, costs, over
        self.model, self._placed = run.recipe.model, placed
        self._steps_left = StepsLeft.NONE
        self._held: deque[Observation | Ending] = deque()
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._orders, self._wanted = Orders(), asyncio.Event()
        self._received, self._queries, self._gradients, self._seconds = 0, 0, 0, 0.0
        self.replica, self.heard, self.moves = "", 0, 0
        self._leases = resumable(run.recipe)
        self.lease: Lease | None = None

    def allow(self, steps: StepsLeft) -> None:
        """Let the run go on so far; any thread may call this."""
        with self._lock:
            if self._run.over:
                return
            self._steps_left = steps
            self._run.set_status("paused" if steps is StepsLeft.NONE else "running")
            due = steps is StepsLeft.ONE and bool(self._held)
            self._deliver()
        order = {StepsLeft.NONE: "pause", StepsLeft.ONE: "step", StepsLeft.ALL: "resume"}[steps]
        if not due:
            self._call(order)

    def cancel(self, reason: str) -> None:
        """End the run now, and its conversation; any thread may call this."""
        self._run.set_status("cancelled", reason)
        if self._loop is not None and self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)

    def fail(self, error: FoolscopeError) -> None:
        """End the run with a sentence."""
        self._run.set_status("failed", "failed", words(error))

    def _call(self, order: str) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._order, order)

    def _order(self, order: str) -> None:
        self._orders.put(order)
        if order != "pause":
            self._wanted.set()

    async def carry_out(self) -> None:
        """See the run through to its end, on one replica after the other if need be."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        try:
            with self._lock:
                if self._steps_left is not StepsLeft.NONE:
                    self._wanted.set()
            await self._tries()
        except FoolscopeError as error:
            self.fail(error)
        except Exception as error:
            log.exception("run %s failed", self._run.id[:6])
            self.fail(FoolscopeError(words(error)))
        finally:
            self._over()

    async def _tries(self) -> None:
        failures, before = 0, -1
        while not self._run.over:
            await self._wanted.wait()
            try:
                await self._converse()
            except (Interrupted, EngineClosed) as error:
                failures = failures + 1 if self._received == before else 1
                before = self._received
                await self._interrupted(str(error), failures)

    async def _interrupted(self, reason: str, failures: int) -> None:
        if self._run.over:
            return
        if failures >= GIVE_UP_AFTER:
            raise EngineFailed(UNREACHABLE, address=self._client.address, reason=reason)
        log.warning("run %s was interrupted at step %d: %s", self._run.id[:6], self._received - 1, reason)
        if self._again() > SOON:
            raise EngineFailed(LOST, step=self._received - 1)
        self.moves += 1
        with self._lock:
            if self._steps_left is StepsLeft.NONE:
                self._wanted.clear()  # nobody needs a replica before it is to go on
        await asyncio.sleep(min(BETWEEN_TRIES * 2 ** (failures - 1), LONGEST_WAIT))

    def _again(self) -> float:
        """Return the seconds that the steps took which another replica computes again."""
        leased = 0.0 if self.lease is None else float(self.lease.scalars[SECONDS])
        return self._seconds - leased

    async def _converse(self) -> None:
        """Follow the run on one replica, from the last step that came on, which is compared."""
        run, start = self._run, max(self._received - 1, 0)
        self._orders, alone = Orders(), self._steps_left is StepsLeft.ONE and not self._received
        opening = Opening(
            run.recipe.to_json(), run.original, run.start, run.id, start,
            "one" if alone else "all", self.lease,
        )  # fmt: skip
        model = self.model if self._placed else None
        async with aclosing(self._client.follow(opening, self._orders, model)) as coming:
            async for steps in coming:
                self.replica, self.heard = steps.replica, steps.heard
                self._take(steps)
                if run.over:
                    return
                ahead = self._steps_left is StepsLeft.NONE and steps.status == "running"
                if ahead and self._orders.queue.empty():  # it was to take one step, or to catch up
                    self._orders.put("pause")

    def _take(self, steps: Steps) -> None:
        """Take in what came: steps that are here already are compared, new ones are held or delivered."""
        with self._lock:
            for row in range(len(steps.scalars)):
                if steps.first + row < self._received:
                    self._compare(steps.first + row, steps.log_p[row])
                else:
                    self._held.append(self._observation(steps, row))
                    self._received += 1
            self._learn(steps)
            self._renew_lease(steps)
            if steps.end is not None:
                self._held.append(steps.end)
            self._deliver()
            if steps.latest is not None and not self._held and not len(steps.scalars):
                self._run.show(self._received - 1, steps.latest)

    def _renew_lease(self, steps: Steps) -> None:
        """Keep the newest step, if it came with its exact picture, its figures and what its attack remembers,
        and steps follow it."""
        step = steps.first + len(steps.scalars) - 1
        last = step + 1 != self._received or not 0 < step < self._run.total
        if not self._leases or last or steps.latest is None or steps.memory is None:
            return
        if len(steps.scalars):
            self.lease = Lease(step, steps.latest, steps.scalars[-1], steps.memory)

    def _observation(self, steps: Steps, row: int) -> Observation:
        scalars, index = steps.scalars[row], steps.first + row
        delta = steps.pictures.get(index)
        newest = steps.latest is not None and row == len(steps.scalars) - 1
        image = steps.latest if newest and steps.latest is not None else None
        if image is None and delta is not None:
            image = np.clip(self._run.start + delta.astype(np.float32), 0, 1)
        queries, gradients = int(scalars[QUERIES]), int(scalars[GRADIENTS])
        self._seconds = max(self._seconds, float(scalars[SECONDS]))
        seen = Observation(
            image,
            delta,
            steps.log_p[row],
            tuple(float(value) for value in scalars[:LENGTHS]),
            queries - self._queries,
            gradients - self._gradients,
            self._seconds,
        )
        self._queries, self._gradients = queries, gradients
        return seen

    def _compare(self, step: int, log_p: Floats) -> None:
        known = self._known(step)
        if known is not None and np.abs(np.exp(known) - np.exp(log_p)).max() > SAME:
            raise EngineFailed(OTHERWISE, step=step)

    def _known(self, step: int) -> Floats | None:
        """Return the natural-log probabilities of a step that came before, held ones too."""
        if step < len(self._run):
            row: Floats = self._run.log_p(step, step + 1)[0]
            return row
        held = self._held[step - len(self._run)]
        return held.log_p if isinstance(held, Observation) else None

    def _learn(self, steps: Steps) -> None:
        for rows, gradients, seconds in steps.timed:
            self._costs.observe(self._run.recipe.model, rows, gradients, seconds)

    def _deliver(self) -> None:
        """Let the run have what is held, as far as it may go."""
        while self._held and not self._run.over:
            first = self._held[0]
            if isinstance(first, Ending):
                self._end(first)
            elif self._steps_left is StepsLeft.NONE:
                return
            else:
                self._run.append(first)
                if self._steps_left is StepsLeft.ONE:
                    self._steps_left = StepsLeft.NONE
                    self._run.set_status("paused")
            self._held.popleft()

    def _end(self, end: Ending) -> None:
        self._run.dead_end = end.dead_end
        self._run.set_status(end.status, end.reason, end.error)
