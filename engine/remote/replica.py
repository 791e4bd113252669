"""A replica: an engine of its own behind HTTP and one WebSocket for each run.

`application` is a plain ASGI application: Ray Serve runs it (`engine.remote.serving`), another server could.
Runs of all pages share the batches of the one loop. A run belongs to its socket: when that closes, it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from dataclasses import asdict, dataclass
from functools import partial
from operator import itemgetter

import anyio.to_thread
import numpy as np
import torch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from torch import Tensor

from attacks.contract import Criterion, Evaluation, Objective, Query
from engine.engine import Engine
from engine.jobs import Memory, StepsLeft, build_of, fresh_run, resumable
from engine.loop import CLOSED
from engine.recipe import Recipe
from engine.remote.answering import RESTARTING, Prepare, answered, model_of
from engine.remote.asked import Asked
from engine.remote.client import Ending, Steps
from engine.remote.wire import Array, Message, all_of, pack, plain, unpack
from engine.run import SCALARS, Run
from errors import BadSetting, EngineClosed, FoolscopeError

log = logging.getLogger("foolscope")
FRAME = 1 / 60
"""Seconds between two looks at whether a run has grown."""
FIRST_FRAME = 1 / 500
"""The same before the first step."""
LARGE_FRAME = 1 / 30
"""The same for runs whose pictures are large."""
LARGE = 64 * 1024
"""Bytes of a picture in single precision from which pictures count as large."""
FEW = 8
"""So many large pictures are in one message at most; beyond that only the newest is."""
LEASE = 25
"""After so many steps a large picture is sent exactly, from which the run can go on elsewhere."""
LEASE_EVERY = 2.0
"""After so many seconds it is, too."""


def application(engine: Engine, prepare: Prepare | None = None) -> Starlette:
    """Return the application around an engine. ``prepare``: by default the engine's own loading."""
    replica = Replica(engine, prepare)
    return Starlette(
        routes=[
            Route("/evaluate", replica.evaluate, methods=["POST"]),
            Route("/load", replica.load, methods=["POST"]),
            Route("/health", replica.health),
            WebSocketRoute("/ask", replica.ask),
            WebSocketRoute("/run", replica.run),
        ]
    )


class Replica:
    """Answers for one engine; calls itself by its machine and the id of its process."""

    def __init__(self, engine: Engine, prepare: Prepare | None) -> None:
        self._engine, self._name = engine, f"{socket.gethostname()}:{os.getpid()}"
        self._prepare = prepare or self._load

    async def _load(self, model: str) -> None:
        await anyio.to_thread.run_sync(self._engine.load, model)

    async def health(self, _: Request) -> Response:
        """GET how the engine is, and where."""
        state = self._engine.health()
        facts = asdict(state) | {"replica": self._name}
        return JSONResponse(facts, 200 if state.healthy else 503)

    async def load(self, request: Request) -> Response:
        """POST a model's name: answered once it is in memory."""

        async def loaded(message: Message) -> Message:
            await self._prepare(model_of(message.head))
            return Message({})

        return await answered(request, loaded)

    async def evaluate(self, request: Request) -> Response:
        """POST images, and the slope in their logits where a gradient is wanted: answered with both."""
        return await answered(request, self._evaluated)

    async def _evaluated(self, message: Message) -> Message:
        model = model_of(message.head)
        await self._prepare(model)
        answer = await anyio.to_thread.run_sync(partial(self._ask, model, message))
        gradient = {} if answer.grad is None else {"grad": answer.grad.numpy()}
        return Message({"timed": self._timed(model)}, {"logits": answer.logits.numpy(), **gradient})

    def _ask(self, model: str, message: Message) -> Evaluation:
        slope, goal = message.arrays.get("slope"), message.head.get("goal")
        objective = None if slope is None else _along(torch.from_numpy(slope))
        wanted = None if goal is None else Criterion(torch.tensor(goal["label"]), bool(goal["targeted"]))
        return self._engine.evaluate(model, _images(message), objective, wanted)

    def _timed(self, model: str) -> list[tuple[int, bool, float]]:
        return self._engine.costs.timed(model)

    async def ask(self, opened: WebSocket) -> None:
        """Answer a question that looks into a model, or carry out a piece of work: it comes first, then its
        answers go back, until there are no more or the socket closes."""
        await opened.accept()
        await Asked(self._engine, opened).answer(self._prepare)

    async def run(self, opened: WebSocket) -> None:
        """Carry out one run: its opening comes first, then orders; steps go back."""
        await opened.accept()
        try:
            begun = await self._begun(unpack(await opened.receive_bytes()))
        except WebSocketDisconnect:
            return
        except EngineClosed:
            await opened.close(RESTARTING)
            return
        except FoolscopeError as error:
            await opened.send_bytes(pack(Message({"error": plain(error)})))
            await opened.close(1000)
            return
        try:
            await self._carry(opened, begun)
        finally:
            self._engine.cancel(begun.run)
            self._engine.store.drop(begun.run.id)

    async def _begun(self, message: Message) -> Begun:
        recipe = Recipe.from_json(message.head.get("recipe") or {})
        recipe.check()
        await self._prepare(recipe.model)
        return await anyio.to_thread.run_sync(partial(self._begin, recipe, message))

    def _begin(self, recipe: Recipe, message: Message) -> Begun:
        """Let a run begin; return it, the first step that is wanted and what keeps its search's memory."""
        try:
            known, original, start, steps = itemgetter("id", "original", "start", "steps")(message.head)
            x, far, first = _images(message), StepsLeft(steps), int(start)
            run = fresh_run(recipe, int(original), x.numpy(), self._engine.clock)
            newest = _leased(run, message)
        except (KeyError, TypeError, ValueError) as error:
            raise BadSetting(f"Expected the opening of a run, got one without a valid {error}.") from error
        whence, memory = len(run), Memory()
        self._engine.begin(run, build_of(run, self._engine.device, newest, memory), far)
        log.info(
            "run %s is carried out here as %s, computed from step %d on, sent from step %d on",
            str(known)[:6], run.id[:6], whence, first,
        )  # fmt: skip
        return Begun(run, first, memory)

    async def _carry(self, opened: WebSocket, begun: Begun) -> None:
        run, conversation = begun.run, _Conversation(self._engine, begun, self._name)
        listening = asyncio.create_task(conversation.listen(opened))
        talking = asyncio.create_task(conversation.talk(opened))
        done, _ = await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, talking):
            task.cancel()
        for task in done:
            if not isinstance(task.exception(), WebSocketDisconnect | RuntimeError | None):
                task.result()
        if run.over and run.error == CLOSED and opened.client_state is WebSocketState.CONNECTED:
            await opened.close(RESTARTING)


@dataclass(frozen=True)
class Begun:
    """A run that began here; ``start``: the first step that is sent; ``memory``: that of its search."""

    run: Run
    start: int
    memory: Memory


class _Conversation:
    """One run and one socket. ``exact``: the newest step whose picture was sent as it is, and when."""

    def __init__(self, engine: Engine, begun: Begun, name: str) -> None:
        self._engine, self._name = engine, name
        self._run, self._start, self._memory = begun.run, begun.start, begun.memory
        self._sent = begun.start
        self._heard, self._told = 0, (0, "")
        self._exact, self._exact_at = -1, engine.clock()
        self._large = begun.run.start.size * 4 > LARGE
        self._leases = resumable(begun.run.recipe)

    async def listen(self, opened: WebSocket) -> None:
        """Do what is ordered until the socket closes; raises WebSocketDisconnect then."""
        while True:
            action = str(json.loads(await opened.receive_text())["do"])
            self._run.touch()
            if action == "read":
                continue
            while len(self._run) <= self._start and not self._run.over:
                await asyncio.sleep(FRAME)  # it catches up first: the steps before are known
            {
                "pause": self._engine.pause,
                "resume": self._engine.resume,
                "step": self._engine.step,
                "cancel": self._engine.cancel,
            }[action](self._run)
            self._heard += 1

    async def talk(self, opened: WebSocket) -> None:
        """Send what is new until the run is over."""
        changed, loop = asyncio.Event(), asyncio.get_running_loop()
        self._run.listen(partial(loop.call_soon_threadsafe, changed.set))
        while True:
            changed.clear()
            over = self._run.over  # before the steps: none follow it
            if over and self._run.error == CLOSED:
                return
            if over or self._news():
                await opened.send_bytes(self._steps(over).packed())
            if over:
                await opened.close(1000)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), self._pause())

    def _pause(self) -> float:
        """Return the seconds until the next look: few until the first step is there."""
        if self._sent == self._start:
            return FIRST_FRAME
        return LARGE_FRAME if self._large else FRAME

    def _news(self) -> bool:
        return len(self._run) > self._sent or self._told != (self._heard, self._run.status)

    def _steps(self, over: bool) -> Steps:
        run, first, status = self._run, self._sent, self._run.status
        self._told = (self._heard, status)
        count, stored = run.stored()
        self._sent = max(count, first)
        latest = self._latest(count, over)
        return Steps(
            first=first,
            scalars=run.scalars(first, count),
            log_p=run.log_p(first, count),
            pictures=self._pictures(first, count, stored),
            latest=latest,
            status=status,
            heard=self._heard,
            replica=self._name,
            end=Ending(run.status, run.reason, run.error, run.dead_end) if over else None,
            timed=tuple(self._engine.costs.timed(run.recipe.model)) if over else (),
            memory=None if latest is None else self._lease(count - 1),
        )

    def _pictures(
        self, first: int, count: int, stored: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float16]]]
    ) -> dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float16]]]:
        """Return the perturbations of new steps; of many large ones only the newest, and that of step 0."""
        steps = [step for step in stored if first <= step < count]
        if self._large and len(steps) > FEW:
            steps = [step for step in steps if step in (0, count - 1)]
        return {step: stored[step] for step in steps}

    def _latest(self, count: int, over: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None:
        """Return the newest picture exactly: always a small one, a large one when the run stands still, and
        every `LEASE` steps or `LEASE_EVERY` seconds where another replica can go on from it."""
        still = over or self._run.status == "paused"
        late = self._engine.clock() - self._exact_at >= LEASE_EVERY
        due = self._leases and (late or count - 1 >= self._exact + LEASE)
        if not count or count - 1 == self._exact or (self._large and not still and not due):
            return None
        latest = self._run.picture(count - 1)
        if len(self._run) != count:
            return None
        self._exact, self._exact_at = count - 1, self._engine.clock()
        return latest

    def _lease(self, step: int) -> tuple[Array, ...] | None:
        """Return what the search remembers at the newest step, None where that was not the newest any more
        or no other replica could go on from it."""
        memory = self._memory.at(step) if self._leases else None
        return None if memory is None else tuple(part.cpu().numpy() for part in memory)


def _images(message: Message) -> Tensor:
    if "x" not in message.arrays or message.arrays["x"].dtype != np.float32:
        raise BadSetting("Expected images as float32 numbers.")
    return torch.from_numpy(message.arrays["x"])


def _leased(run: Run, message: Message) -> Query | None:
    """Bring a run to the step before that of its lease, and return the query of that; None for no lease."""
    step, newest = int(message.head.get("lease", 0)), message.arrays.get("newest")
    if newest is None or not resumable(run.recipe):
        return None
    if newest.shape != run.start.shape or newest.dtype != np.float32 or not 0 < step < run.total:
        raise ValueError("lease")
    scalars = np.zeros((step, len(SCALARS)), np.float32)
    scalars[-1] = message.arrays["scalars"]
    scalars[-1, [SCALARS.index("queries"), SCALARS.index("gradients")]] -= 1  # of that step, asked again
    nothing = np.zeros(newest.shape, np.float16)
    run.restore(np.zeros((step, len(run.labels)), np.float32), scalars, {0: nothing}, run.classes)
    memory = tuple(torch.from_numpy(part) for part in all_of("memory", message.arrays) or ())
    return Query(torch.from_numpy(newest)[None], None, memory)


def _along(slope: Tensor) -> Objective:
    """Return the objective whose gradient is that of the logits along ``slope`` ``(n, classes)``."""
    return lambda logits: (logits * slope.to(logits.device)).sum(1)
