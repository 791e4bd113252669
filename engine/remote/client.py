"""Who asks the replicas, over HTTP and one WebSocket for each run; needs neither torch nor ray.

client = Client("http://127.0.0.1:8000")
async for steps in client.follow(Opening(recipe, original, x), orders):
    ...
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import ClientConnection as Waiting
from websockets.sync.client import connect as connect_and_wait

from engine.remote.wire import Array, Head, Message, all_of, numbered, pack, refusal, unpack
from engine.run import Floats
from errors import EngineFailed

MODEL = "serve_multiplexed_model_id"
"""Header by which Ray Serve sends what asks for a model to a replica that has it."""
TRIES = 5
"""How often a question is asked again when whoever was to answer it is gone."""
BETWEEN_TRIES = 0.4
"""Seconds before the second try; before each later one twice as long."""
ANSWER_WITHIN = 300.0
"""Seconds that an answer may take: a replica may have to load the model first."""
CLOSING = 3.0
"""Seconds at most until the other side has answered that a socket is closed."""
TAKING_BACK = 0.2
"""The same for a question that is taken back: any thread may be the one that drops its answers."""
LAST = "last"
"""In the head of the message that follows the last answer."""
READ_EVERY = 10.0
"""Seconds between two signs of life to a replica, which lets a run pause that nobody reads."""
BROKEN_OFF = (InvalidHandshake, InvalidMessage, ConnectionClosed, OSError, TimeoutError)
"""What a socket raises when the other side is gone, or was never there."""
UNREACHABLE = "Expected an engine at {address}, but it does not answer: {reason}."


class Interrupted(Exception):  # noqa: N818 (it says what happened)
    """A conversation broke off; another replica can be asked to go on."""


@dataclass(frozen=True)
class Lease:
    """What a run goes on from elsewhere: ``x`` ``(c, h, w)`` in [0, 1], exactly what the model saw at
    ``step``, the ``scalars`` of that step, as `engine.run.SCALARS` names them, and the ``memory`` of the
    attack, as `attacks.contract.Query` has it."""

    step: int
    x: Floats
    scalars: Floats
    memory: tuple[Array, ...] = ()


@dataclass(frozen=True)
class Opening:
    """What begins a run. ``recipe``: as `engine.recipe.Recipe.to_json` writes it; ``x`` ``(c, h, w)`` in
    [0, 1]: what the model sees; ``original``: the class that it says; ``start``: the first step that is
    wanted; ``steps``: how far it may go, "all" or "one"; ``lease``: where it goes on, None from the first
    step."""

    recipe: Head
    original: int
    x: Floats
    id: str = ""
    start: int = 0
    steps: str = "all"
    lease: Lease | None = None

    def packed(self) -> bytes:
        """Return the opening as bytes."""
        head = {name: getattr(self, name) for name in ("recipe", "original", "id", "start", "steps")}
        if self.lease is None:
            return pack(Message(head, {"x": self.x}))
        arrays = {"x": self.x, "newest": self.lease.x, "scalars": self.lease.scalars}
        memory = numbered("memory", self.lease.memory)
        return pack(Message(head | {"lease": self.lease.step}, arrays | memory))


@dataclass(frozen=True)
class Ending:
    """How a run ended, in the words of `engine.run.Run`."""

    status: str
    reason: str | None
    error: str | None
    dead_end: str | None


@dataclass(frozen=True)
class Steps:
    """Steps of a run as they came, none if only its status did.

    ``first``: index of the first; ``scalars`` ``(steps, figures)`` as `engine.run.SCALARS` names them;
    ``log_p`` ``(steps, classes)``: natural-log probabilities; ``pictures``: perturbations ``(c, h, w)`` by
    step, of some; ``latest``: the picture ``(c, h, w)`` of the newest step of the run, exactly, or None;
    ``memory``: what else a `Lease` of that step holds, None where it is none; ``heard``: how many orders the
    replica has carried out; ``timed``: (rows, gradients, seconds) of batches.
    """

    first: int
    scalars: Floats
    log_p: Floats
    pictures: dict[int, npt.NDArray[np.float16]]
    latest: Floats | None
    status: str
    heard: int
    replica: str
    end: Ending | None = None
    timed: tuple[tuple[int, bool, float], ...] = ()
    memory: tuple[Array, ...] | None = None

    def packed(self) -> bytes:
        """Return the steps as bytes."""
        names = ("first", "status", "heard", "replica", "timed")
        head = {name: getattr(self, name) for name in names} | {"pictures": list(self.pictures)}
        head["end"] = None if self.end is None else vars(self.end)
        arrays = {"scalars": self.scalars, "log_p": self.log_p}
        if self.memory is not None:
            arrays |= numbered("memory", self.memory)
        if self.pictures:
            arrays["deltas"] = np.stack(list(self.pictures.values()))
        return pack(Message(head, arrays | ({} if self.latest is None else {"latest": self.latest})))


def steps_of(message: Message) -> Steps:
    """Return the steps that a message holds, or raise the refusal that it holds."""
    head, arrays = message.head, message.arrays
    if "error" in head:
        raise refusal(head["error"])
    pictures = dict(zip(head.pop("pictures"), arrays.get("deltas", ()), strict=True))
    end, timed = head.pop("end"), tuple((int(n), bool(g), float(s)) for n, g, s in head.pop("timed"))
    return Steps(
        **head,
        scalars=arrays["scalars"],
        log_p=arrays["log_p"],
        pictures=pictures,
        latest=arrays.get("latest"),
        end=None if end is None else Ending(**end),
        timed=timed,
        memory=all_of("memory", arrays),
    )


@dataclass(frozen=True)
class Orders:
    """What a replica is to do with a run: pause, resume, step or cancel, one after the other."""

    queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    def put(self, action: str) -> None:
        """Order something; only the thread of the conversation calls this."""
        self.queue.put_nowait(action)


class Client:
    """Asks the replicas behind one ``address``, such as http://127.0.0.1:8000."""

    def __init__(self, address: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.address, self._sleep = address.rstrip("/"), sleep
        self._http = httpx.Client(timeout=httpx.Timeout(ANSWER_WITHIN, connect=5.0), trust_env=False)
        self._open, self._open_lock = set[Waiting](), threading.Lock()

    def ask(self, path: str, message: Message, model: str | None = None) -> Message:
        """Return the answer to one question, asked again while whoever should answer is gone.

        ``model``: whoever has it in memory is asked. Raises the refusal that is answered, and
        `errors.EngineFailed` when nobody answers.
        """
        body, reason = pack(message), ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(BETWEEN_TRIES * 2 ** (attempt - 1))
            try:
                answer = self._http.post(self.address + path, content=body, headers=_place(model))
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
                continue
            if answer.status_code in (200, 400):
                return _read(answer.content)
            reason = f"HTTP {answer.status_code}"
        raise EngineFailed(UNREACHABLE, address=self.address, reason=reason)

    def answers(self, path: str, message: Message, model: str | None = None) -> Generator[Message]:
        """Yield the answers to one question as they come; closing the iterator takes the question back.

        Raises the refusal that is answered, and `errors.EngineFailed` when nobody answers; whoever is gone
        before the first answer is replaced.
        """
        body, reason = pack(message), ""
        for attempt in range(TRIES):
            if attempt:
                self._sleep(BETWEEN_TRIES * 2 ** (attempt - 1))
            begun = False
            try:
                with self._asked(path, body, model) as socket:
                    while True:
                        answer = _read(_bytes(socket.recv(ANSWER_WITHIN)))
                        if LAST in answer.head:
                            return
                        begun = True
                        yield answer
            except BROKEN_OFF as error:
                reason = str(error) or type(error).__name__
                if begun:
                    break
        raise EngineFailed(UNREACHABLE, address=self.address, reason=reason)

    @contextmanager
    def _asked(self, path: str, body: bytes, model: str | None) -> Iterator[Waiting]:
        address = self.address.replace("http", "ws", 1) + path
        headers = _place(model)
        with connect_and_wait(
            address, additional_headers=headers, max_size=None, compression=None,
            open_timeout=ANSWER_WITHIN, close_timeout=TAKING_BACK, proxy=None,
        ) as socket:  # fmt: skip
            with self._open_lock:
                self._open.add(socket)
            try:
                socket.send(body)
                yield socket
            finally:
                with self._open_lock:
                    self._open.discard(socket)

    def health(self) -> dict[str, Any]:
        """Return what one replica says of itself; raises `errors.EngineFailed` when none answers."""
        try:
            answer = self._http.get(f"{self.address}/health", timeout=5.0)
            state: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise EngineFailed(UNREACHABLE, address=self.address, reason=reason) from error
        return state

    async def follow(
        self, opening: Opening, orders: Orders, model: str | None = None
    ) -> AsyncGenerator[Steps]:
        """Yield the steps of a run as they come, until it is over; meanwhile ``orders`` are passed on.

        Raises the refusal that is answered, and `Interrupted` when the conversation breaks off before the
        run is over.
        """
        try:
            async with connect(
                self.address.replace("http", "ws", 1) + "/run",
                additional_headers=_place(model),
                max_size=None,
                compression=None,
                open_timeout=ANSWER_WITHIN,
                proxy=None,
            ) as socket:
                await socket.send(opening.packed())
                async with aclosing(_heard(socket, orders)) as heard:
                    async for steps in heard:
                        yield steps
                        if steps.end is not None:
                            return
        except BROKEN_OFF as error:
            raise Interrupted(str(error) or type(error).__name__) from error
        raise Interrupted("the connection was closed")

    def close(self) -> None:
        """Let go of the connections, those too whose answers nobody has read to the end: their threads end
        with the process, and whoever closed them after that would wait for ever."""
        with self._open_lock:
            left = list(self._open)
        for socket in left:
            socket.close()
        self._http.close()


def _place(model: str | None) -> dict[str, str]:
    return {} if model is None else {MODEL: model}


def _bytes(data: str | bytes) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


def _read(data: bytes) -> Message:
    answer = unpack(data)
    if "error" in answer.head:
        raise refusal(answer.head["error"])
    return answer


async def _heard(socket: ClientConnection, orders: Orders) -> AsyncGenerator[Steps]:
    passing = asyncio.create_task(_pass_on(socket, orders))
    try:
        async for data in socket:
            yield steps_of(unpack(_bytes(data)))
    finally:
        passing.cancel()


async def _pass_on(socket: ClientConnection, orders: Orders) -> None:
    """Send orders as they come, and a sign of life now and then."""
    while True:
        try:
            action = await asyncio.wait_for(orders.queue.get(), READ_EVERY)
        except TimeoutError:
            action = "read"
        await socket.send(json.dumps({"do": action}))
