"""The engine of a page's server whose networks are elsewhere: replicas compute, this process keeps the rest.

What this process keeps, such as uploads, the queue and the database, is in `engine.base`; it has no network
in memory.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import closing
from operator import itemgetter
from typing import Any, NoReturn, TypeVar

import numpy as np
import torch
from torch import Tensor

import models
from attacks.contract import Criterion, Evaluation, Objective
from engine.base import EngineBase
from engine.images.sources import Source
from engine.jobs import Build, StepsLeft
from engine.layouts import Choice
from engine.loop import CLOSED, Health
from engine.prices import work_of
from engine.probes import Probe
from engine.recipe import Recipe
from engine.remote import values
from engine.remote.client import CLOSING, Client
from engine.remote.link import Link
from engine.remote.wire import Array, Message
from engine.run import Floats, Run
from engine.work import Work
from errors import EngineClosed, EngineFailed
from models.download import Progress

T = TypeVar("T")
log = logging.getLogger("foolscope")
SHARE = 8
"""So many open runs of a model go where it is in memory, and share its batches; further ones go to whoever
has least to do, which then has the model too."""


def _elsewhere(model: object, release: object) -> NoReturn:
    """Refuse to make a job: replicas make their own."""
    raise EngineFailed("Expected a replica to make the job of a run.")


class RemoteEngine(EngineBase):
    """``address``: of the replicas, such as http://127.0.0.1:8000; nothing is sent before a question."""

    def __init__(
        self,
        address: str,
        sources: Mapping[str, Source] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock, sources)
        self.device = f"replicas at {address}"
        self._client, self._ready = Client(address), set[str]()
        self._links: dict[str, Link] = {}
        self._links_lock, self._shut = threading.Lock(), False
        self._sockets, self._tasks = asyncio.new_event_loop(), set[asyncio.Task[None]]()
        self._thread = threading.Thread(target=self._serve, name="foolscope-remote", daemon=True)
        self._thread.start()

    def health(self) -> Health:
        """Return how the replicas are, as the one says that answers."""
        try:
            facts = self._client.health()
            healthy, breaks, fault, jobs = itemgetter("healthy", "breaks", "error", "jobs")(facts)
            return Health(bool(healthy), int(breaks), str(fault), int(jobs))
        except (EngineFailed, KeyError) as error:
            return Health(False, 0, str(error))

    def loaded(self, name: str) -> bool:
        """Say whether a replica answered for this model before."""
        return name in self._ready

    def networks(self) -> list[str]:
        """Return for which models a replica has answered."""
        return sorted(self._ready)

    def layout(self, model: str) -> Choice | None:
        """Return None: every replica chooses for its own device."""
        return None

    def load(self, name: str, progress: Progress | None = None) -> None:
        """Have a replica load a model; raises as `engine.engine.Engine.load` does, and
        `errors.EngineFailed` when no replica answers."""
        self._client.ask("/load", Message({"model": name}), name)
        self._ready.add(name)

    def answers(self, model: str, x: Floats) -> Floats:
        """Return the logits ``(n, classes)`` of images ``(n, c, h, w)`` in [0, 1]."""
        self._check_open()
        return self._round(model, x)["logits"]

    def evaluate(
        self, model: str, x: Tensor, objective: Objective | None = None, goal: Criterion | None = None
    ) -> Evaluation:
        """Return the answer to one query. An ``objective`` stays here: a first round brings the logits, a
        second one the gradient along the objective's slope in them."""
        self._check_open()
        images = x.detach().float().cpu().numpy()
        logits = torch.from_numpy(self._round(model, images, goal)["logits"])
        if objective is None:
            return Evaluation(logits, None, None)
        leaf = logits.clone().requires_grad_()
        values = objective(leaf)
        (slope,) = torch.autograd.grad(values.sum(), leaf)
        grad = self._round(model, images, goal, slope.numpy())["grad"]
        return Evaluation(logits, values.detach(), torch.from_numpy(grad))

    def _round(
        self, model: str, x: Floats, goal: Criterion | None = None, slope: Floats | None = None
    ) -> Mapping[str, Floats]:
        aim = None if goal is None else {"label": goal.label.tolist(), "targeted": goal.targeted}
        arrays = {"x": x} | ({} if slope is None else {"slope": slope})
        answer = self._client.ask("/evaluate", Message({"model": model, "goal": aim}, arrays), model)
        self._ready.add(model)
        for rows, gradients, seconds in answer.head["timed"]:
            self.costs.observe(model, int(rows), bool(gradients), float(seconds))
        return answer.arrays

    def prepare(self, recipe: Recipe) -> tuple[Run, Build]:
        """Return a new run that has not begun; the replica builds its job."""
        return self.new_run(recipe), _elsewhere

    def time(self, recipe: Recipe) -> None:
        """Have a replica time what a recipe asks of its network."""
        x, card = self.preprocess(recipe)[None], models.card(recipe.model)
        slope = np.eye(1, len(card.labels), dtype=np.float32)
        for _ in range(2):
            self._round(recipe.model, x, slope=slope if work_of(recipe).gradients else None)

    def carry_out(self, work: Work[T]) -> Generator[T]:
        """Yield what a piece of work comes to, as a replica carries it out; raises what that raises, and
        `errors.EngineFailed` when no replica answers."""
        yield from self._ask(work.model, work)

    def probe(self, model: str, question: Probe[T]) -> Generator[T]:
        """Yield the answers to a question that looks into a model, as a replica gives them; closing it
        cancels them there. Raises as `engine.engine.Engine.probe` does."""
        yield from self._ask(model, question)

    def _ask(self, model: str, question: object) -> Generator[Any]:
        self._check_open()
        arrays: dict[str, Array] = {}
        message = Message({"model": model, "question": values.write(question, arrays)}, arrays)
        with closing(self._client.answers("/ask", message, model or None)) as answers:
            for answer in answers:
                if model:
                    self._ready.add(model)
                yield values.read(answer.head["answer"], answer.arrays)

    def begin(self, run: Run, build: Build, steps: StepsLeft) -> None:
        """Let a prepared run begin on a replica, which builds its own job."""
        self._check_open()
        model = run.recipe.model
        with self._links_lock:
            placed = sum(link.model == model for link in self._links.values()) < SHARE
            link = Link(self._client, run, self.costs, placed, lambda: self._let_go(run.id))
            self._links[run.id] = link
        self.store.add(run)
        link.allow(steps)
        self._sockets.call_soon_threadsafe(self._carry, link)

    def go_on(self, run: Run, steps: StepsLeft) -> None:
        """Let a run go on so far, `StepsLeft.NONE` to pause it: at once here, and soon on the replica."""
        link = self.link(run.id)
        if link is not None:
            link.allow(steps)

    def retire(self, run: Run, reason: str) -> None:
        """Have the replica end a run that is over."""
        link = self.link(run.id)
        if link is not None:
            link.cancel(reason)

    def revive(self) -> None:
        """Do nothing: a run whose replica dies goes on by itself (`engine.remote.link`)."""

    def link(self, key: str) -> Link | None:
        """Return what connects a run that goes on to its replica."""
        with self._links_lock:
            return self._links.get(key)

    def close(self) -> None:
        """Cancel everything, write what is kept of it, and end the engine's threads."""
        self._shut = True
        with self._links_lock:
            links = list(self._links.values())
        for link in links:
            link.fail(EngineClosed(CLOSED))
        super().close()
        if self._thread.is_alive():
            self._sockets.call_soon_threadsafe(self._sockets.stop)
            self._thread.join()
        self._client.close()

    def _let_go(self, key: str) -> None:
        with self._links_lock:
            self._links.pop(key, None)

    def _check_open(self) -> None:
        if self._shut:
            raise EngineClosed(CLOSED)

    def _serve(self) -> None:
        """Carry the sockets' loop; what is still open at its end is closed."""
        asyncio.set_event_loop(self._sockets)
        self._add_task(self._keep_house())
        self._sockets.run_forever()
        self._sockets.run_until_complete(self._end())
        self._sockets.close()

    def _carry(self, link: Link) -> None:
        self._add_task(link.carry_out())

    def _add_task(self, work: Coroutine[None, None, None]) -> None:
        task = self._sockets.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_house(self) -> None:
        """See to runs that nobody reads, once a second."""
        while True:
            await asyncio.sleep(1)
            try:
                await asyncio.to_thread(self._housekeeping.sweep)
            except Exception:
                log.exception("the housekeeping goes on after an error")

    async def _end(self) -> None:
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        sockets = asyncio.all_tasks() - {asyncio.current_task()}  # their own tasks end once they are closed
        if sockets:
            _, open_still = await asyncio.wait(sockets, timeout=CLOSING)
            for task in open_still:
                task.cancel()
            await asyncio.gather(*open_still, return_exceptions=True)
        await asyncio.sleep(0.01)  # what is closed is closed in the loop's next turns
