"""The engine of a page's server whose networks are elsewhere: replicas compute, this process keeps the rest.

Uploads, pictures, the queue, and the runs that are kept are those of `engine.engine.Engine`; its loop sees to
runs that nobody reads.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from operator import itemgetter
from typing import Any, TypeVar

import torch
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective
from engine.engine import Engine
from engine.images.sources import Source
from engine.jobs import Build, StepsLeft
from engine.layouts import Choice
from engine.loop import CLOSED, Health
from engine.probes import Probe
from engine.remote import values
from engine.remote.client import CLOSING, Client
from engine.remote.link import Link
from engine.remote.wire import Array, Message
from engine.run import Run
from engine.work import Work
from errors import EngineClosed, EngineFailed
from models.download import Progress

T = TypeVar("T")
SHARE = 8
"""So many open runs of a model go where it is in memory, and share its batches; further ones go to whoever
has least to do, which then has the model too."""


class RemoteEngine(Engine):
    """``address``: of the replicas, such as http://127.0.0.1:8000; nothing is sent before a question."""

    def __init__(
        self,
        address: str,
        sources: Mapping[str, Source] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(torch.device("cpu"), clock=clock, sources=sources)
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

    def evaluate(
        self, model: str, x: Tensor, objective: Objective | None = None, goal: Criterion | None = None
    ) -> Evaluation:
        """Return the answer to one query. An ``objective`` stays here: a first round brings the logits, a
        second one the gradient along the objective's slope in them."""
        self._check_open()
        logits = self._round(model, x, goal).logits
        if objective is None:
            return Evaluation(logits, None, None)
        leaf = logits.clone().requires_grad_()
        values = objective(leaf)
        (slope,) = torch.autograd.grad(values.sum(), leaf)
        return Evaluation(logits, values.detach(), self._round(model, x, goal, slope).grad)

    def _round(
        self, model: str, x: Tensor, goal: Criterion | None, slope: Tensor | None = None
    ) -> Evaluation:
        aim = None if goal is None else {"label": goal.label.tolist(), "targeted": goal.targeted}
        arrays = {"x": x.detach().float().cpu().numpy()} | ({} if slope is None else {"slope": slope.numpy()})
        answer = self._client.ask("/evaluate", Message({"model": model, "goal": aim}, arrays), model)
        self._ready.add(model)
        for rows, gradients, seconds in answer.head["timed"]:
            self.costs.observe(model, int(rows), bool(gradients), float(seconds))
        got = {name: torch.from_numpy(array) for name, array in answer.arrays.items()}
        return Evaluation(got["logits"], None, got.get("grad"))

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
                self._ready |= {model} - {""}
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
        self._sockets.run_forever()
        self._sockets.run_until_complete(self._end())
        self._sockets.close()

    def _carry(self, link: Link) -> None:
        task = self._sockets.create_task(link.carry_out())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
