"""Simulated people in a room: they join, look, bet, run, hand in and vote over real HTTP and real sockets.

What a student received of a run is compared with what the server has of it, row by row, so that a row that
was lost, came twice or belongs to another run is seen.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from errors import FoolscopeError

ROWS = 1
"""The kind of a frame that holds rows: `components.live.protocol`."""
HEAD = struct.Struct("<BBHII")
TRIES = 8
"""How often something is asked again that the server puts off, and a socket opened again that broke."""
WHAT = re.compile(r"(?<=/)[^/]{20,}(?=/)")
"""The id in a path, which is left out where waits are told apart."""
LONGEST = 8.0
"""Seconds between two such tries at most."""


class RefusedError(FoolscopeError):
    """The server refused something, or did not answer. ``status``: of its answer, 0 where there is none."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


class Wire(Protocol):
    """A socket as `websockets` has it."""

    async def recv(self) -> str | bytes:
        """Return the next frame; raises `ConnectionClosed`."""

    async def close(self) -> None:
        """Close it."""


Dial = Callable[[str], Awaitable[Wire]]


async def dial(address: str) -> Wire:
    """Open a socket."""
    return await connect(address, max_size=None, proxy=None, open_timeout=30)


@dataclass
class Record:
    """What happened to a student, or to many added up.

    ``runs``: started; ``finished``: of which the end was heard; ``fooled``: that reached their aim;
    ``steps``: received; ``held``: that the server has of the same runs; ``lost``: that it has and the student
    never received; ``doubled``: received twice; ``mixed``: received with other figures than the server's, or
    of another run; ``stuck``: runs of which nothing came for as long as the student's patience; ``cuts``:
    sockets that broke; ``waits``: seconds by what was waited for (a request by its path, "first" row after
    pressing Run, "step" between rows); ``refused``: the server's sentences; ``errors``: what else went wrong.
    """

    runs: int = 0
    finished: int = 0
    fooled: int = 0
    steps: int = 0
    held: int = 0
    lost: int = 0
    doubled: int = 0
    mixed: int = 0
    stuck: int = 0
    cuts: int = 0
    waits: dict[str, list[float]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def waited(self, what: str, seconds: float) -> None:
        """Note a wait."""
        self.waits.setdefault(what, []).append(seconds)

    def add(self, other: Record) -> None:
        """Add what happened to somebody else."""
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        for what, seconds in other.waits.items():
            self.waits.setdefault(what, []).extend(seconds)
        self.refused += other.refused
        self.errors += other.errors

    @property
    def right(self) -> bool:
        """Say whether nothing was lost, doubled, mixed, stuck or went wrong."""
        return not (self.lost or self.doubled or self.mixed or self.stuck or self.errors)


@dataclass
class Received:
    """The rows of a run that came, by their number, and how often a number came again. ``at``: when the last
    one came, at first when the run was asked for, by the monotonic clock."""

    at: float
    rows: dict[int, tuple[float, ...]] = field(default_factory=dict)
    doubled: int = 0
    foreign: int = 0

    @property
    def cursor(self) -> int:
        """Return how many rows came without a gap from the first on: what the next socket is told."""
        return next(number for number in range(len(self.rows) + 1) if number not in self.rows)

    def take(self, frame: bytes) -> int:
        """Take a frame; return how many rows it has, 0 where it has none."""
        if not frame or frame[0] != ROWS:
            return 0
        _, scalars, classes, start, count = HEAD.unpack_from(frame)
        width = scalars + classes
        values = struct.unpack_from(f"<{count * width}f", frame, HEAD.size)
        for place in range(count):
            number = start + place
            self.doubled += number in self.rows
            self.rows[number] = values[place * width : (place + 1) * width]
        return int(count)

    def compare(self, held: list[list[float | None]]) -> tuple[int, int]:
        """Return how many of the rows that the server has did not come, and how many came otherwise.

        ``held``: the server's rows from the first on, None for what is no number. A row that came has those
        classes alone that were known by then, so it is compared as far as it goes.
        """
        missing = sum(number not in self.rows for number in range(len(held)))
        beyond = sum(number >= len(held) for number in self.rows)
        other = sum(
            not all(map(_same, row, held[number])) for number, row in self.rows.items() if number < len(held)
        )
        return missing, other + beyond


def _same(came: float, has: float | None) -> bool:
    return came == has if has is not None else not math.isfinite(came)


class Server:
    """Where the rooms are. ``url``: of the page, without a slash at the end; ``dial`` opens sockets."""

    def __init__(self, url: str, dial: Dial = dial) -> None:
        self.base = f"{url.rstrip('/')}/foolscope"
        self.dial = dial
        everybody = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.client = httpx.AsyncClient(timeout=300, limits=everybody, trust_env=False)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def ask(
        self, method: str, path: str, secret: str = "", body: bytes | Mapping[str, Any] | None = None
    ) -> Any:
        """Return the JSON that the server answers; asks again where it is told to come later, and reads
        again where no answer came.

        ``path``: below the address of rooms and runs; ``secret``: a token or a key. Raises `RefusedError`.
        """
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return (await self._asked(method, path, secret, content)).json()

    async def file(self, path: str, secret: str = "") -> bytes:
        """Return a file; raises `RefusedError`."""
        return (await self._asked("GET", path, secret, None)).content

    async def _asked(self, method: str, path: str, secret: str, content: bytes | None) -> httpx.Response:
        address, headers = f"{self.base}/{path}", {"Authorization": f"Bearer {secret}"} if secret else {}
        for attempt in range(TRIES):
            try:
                answer = await self.client.request(method, address, headers=headers, content=content)
            except httpx.TransportError as error:
                if method != "GET" or attempt == TRIES - 1:  # what is posted may have arrived
                    said = str(error) or type(error).__name__
                    raise RefusedError(f"Expected a server at {self.base}: {said}.", 0) from error
                await asyncio.sleep(min(LONGEST, 0.3 * 2**attempt))
                continue
            if answer.status_code != 429 or attempt == TRIES - 1:
                break
            await asyncio.sleep(min(LONGEST, float(answer.headers.get("retry-after", "1"))))
        if answer.is_success:
            return answer
        raise RefusedError(_sentence(answer), answer.status_code)

    def socket(self, path: str) -> str:
        """Return the address of a socket."""
        return f"{self.base.replace('http', 'ws', 1)}/{path}"


def _sentence(answer: httpx.Response) -> str:
    """Return why the server refused."""
    try:
        plain = answer.json()
    except ValueError:
        plain = None
    sentence = plain.get("error") if isinstance(plain, dict) else None
    return str(sentence or f"{answer.request.method} {answer.request.url.path}: {answer.status_code}")


class Teacher:
    """Who opened a room. Raises `RefusedError` wherever the server refuses."""

    def __init__(self, server: Server, code: str, key: str) -> None:
        self.server, self.code, self.key = server, code, key

    @classmethod
    async def open(cls, server: Server, title: str, **allowed: Any) -> Teacher:
        """Open a room that allows what `engine.rooms.records.Allowed` names."""
        opened = await server.ask("POST", "rooms", body={"title": title, "allowed": allowed})
        return cls(server, opened["code"], opened["key"])

    async def change(self, **parts: Any) -> Any:
        """Change the room: ``question``, ``judging``, ``frozen``, ``broadcast`` and so on."""
        return await self.post("teacher", parts)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to what only the teacher may ask."""
        return await self.server.ask("POST", f"rooms/{self.code}/{path}", self.key, body)

    async def get(self, path: str) -> Any:
        """Return what only the teacher may see."""
        return await self.server.ask("GET", f"rooms/{self.code}/{path}", self.key)


class Student:
    """Somebody with a phone. ``patience``: seconds without a row after which a run counts as stuck.

    What goes wrong with a run is noted in ``record``; a request that the server refuses is noted there too
    and raises `RefusedErrorError`.
    """

    def __init__(self, server: Server, code: str, name: str, patience: float = 120.0) -> None:
        self.server, self.code, self.name, self.patience = server, code, name, patience
        self.token, self.number = "", 0
        self.record = Record()
        self.room: dict[str, Any] = {}
        self._hearing: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Join the room and hear from then on what changes in it."""
        joined = await self._ask("POST", "join", {"name": self.name})
        self.token, self.number = joined["token"], joined["member"]["number"]
        self.name = joined["member"]["name"]
        self._hearing = asyncio.create_task(self._hear())

    async def state(self) -> Any:
        """Return all that the student's page shows at first."""
        state = await self._ask("GET", "me")
        self.room = state["room"]
        return state

    async def upload(self, data: bytes) -> str:
        """Bring a picture; return its name."""
        return str((await self._ask("POST", "uploads", data))["image"])

    async def start(self, query: Mapping[str, str], broadcast: int = 0) -> str:
        """Press Run; return the run's id."""
        run = await self._ask("POST", "runs", {"query": dict(query), "broadcast": broadcast})
        self.record.runs += 1
        return str(run["run"])

    async def run(
        self, query: Mapping[str, str], broadcast: int = 0, cut: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Press Run and follow the run to its end; return what the server says of it then."""
        began = time.monotonic()
        return await self.follow(await self.start(query, broadcast), cut, began)

    async def follow(
        self, run: str, cut: Callable[[], bool] = lambda: False, began: float | None = None
    ) -> dict[str, Any]:
        """Follow a run to its end, over as many sockets as it takes, and compare what came with what the
        server has. ``cut`` is asked after each frame of rows whether the phone's screen is locked now, which
        closes the socket; the next one goes on where this one was. ``began``: when Run was pressed, by the
        monotonic clock, if not now."""
        received = Received(time.monotonic() if began is None else began)
        try:
            await self._receive(run, received, cut)
        except TimeoutError:
            self.record.stuck += 1
            self.record.errors.append(f"{self.name}: nothing came of a run for {self.patience:g} s.")
        return await self._check(run, received)

    async def bet(self, question: str, answer: int) -> Any:
        """Bet on an answer, by its number from 0 on, to the question that everybody is asked."""
        return await self._ask("POST", "bets", {"question": question, "answer": answer})

    async def post(self, path: str, body: Mapping[str, Any] | bytes) -> Any:
        """Return the answer to something else that a member may send."""
        return await self._ask("POST", path, body)

    async def get(self, path: str) -> Any:
        """Return something else that a member may see."""
        return await self._ask("GET", path)

    async def file(self, path: str) -> bytes:
        """Return a file that a member may see."""
        began = time.monotonic()
        try:
            return await self.server.file(f"rooms/{self.code}/{path}", self.token)
        except RefusedError as error:
            self.record.refused.append(f"{path}: {error}")
            raise
        finally:
            self.record.waited(WHAT.sub("…", path), time.monotonic() - began)

    async def leave(self) -> None:
        """Close the page."""
        if self._hearing:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | bytes | None = None) -> Any:
        began = time.monotonic()
        try:
            return await self.server.ask(method, f"rooms/{self.code}/{path}", self.token, body)
        except RefusedError as error:
            self.record.refused.append(f"{path}: {error}")
            raise
        finally:
            self.record.waited(WHAT.sub("…", path), time.monotonic() - began)

    async def _receive(self, run: str, received: Received, cut: Callable[[], bool]) -> None:
        """Receive a run's rows until its end was said, which ends a socket that is opened anew as often as it
        breaks; raises TimeoutError when nothing comes, and notes it when no socket can be opened."""
        failures = 0
        while failures < TRIES:
            try:
                wire = await self.server.dial(self.server.socket(f"runs/{run}/live?start={received.cursor}"))
            except (OSError, WebSocketException):
                failures += 1
                await asyncio.sleep(min(LONGEST, 0.3 * 2**failures))
                continue
            before = len(received.rows)
            if await self._listen(wire, run, received, cut):
                return
            self.record.cuts += 1
            failures = 0 if len(received.rows) > before else failures + 1
            await asyncio.sleep(0.05 * 2**failures)
        self.record.errors.append(f"{self.name}: a run's socket could not be kept open.")

    async def _listen(self, wire: Wire, run: str, received: Received, cut: Callable[[], bool]) -> bool:
        """Return whether the run's end was heard before the socket closed."""
        try:
            while True:
                frame = await asyncio.wait_for(wire.recv(), self.patience)
                now = time.monotonic()
                if isinstance(frame, bytes):
                    first = not received.rows
                    if received.take(frame):
                        self.record.waited("first" if first else "step", now - received.at)
                        received.at = now
                        if cut():
                            return False
                elif self._told(json.loads(frame), run, received):
                    return True
        except ConnectionClosed:
            return False
        finally:
            await wire.close()

    def _told(self, message: dict[str, Any], run: str, received: Received) -> bool:
        """Take a message in words; return whether it ends the run."""
        if message["type"] == "error":
            self.record.errors.append(f"{self.name}: {message['sentence']}")
            return True
        received.foreign += message["type"] == "run" and message["id"] != run
        return bool(message.get("end"))

    async def _check(self, run: str, received: Received) -> dict[str, Any]:
        """Compare what came of a run with what the server has of it; note and return how it ended."""
        try:
            held = await self.server.ask("GET", f"runs/{run}/rows?start=0")
        except RefusedError as error:
            self.record.errors.append(f"{self.name}: {error}")
            return {}
        ended: dict[str, Any] = held["status"]
        missing, other = received.compare(held["rows"])
        record = self.record
        record.steps += len(received.rows)
        record.held += len(held["rows"])
        record.lost += missing
        record.doubled += received.doubled
        record.mixed += other + received.foreign
        record.finished += ended["status"] == "finished"
        if ended["status"] == "failed":
            record.errors.append(f"{self.name}: {ended['sentence']}")
        record.fooled += bool(held["rows"]) and (held["rows"][-1][0] or 0) > 0  # the margin comes first
        return ended

    async def _hear(self) -> None:
        """Keep the room's newest state, over as many sockets as it takes."""
        failures = 0
        while True:
            try:
                async with connect(
                    self.server.socket(f"rooms/{self.code}/live"), max_size=None, proxy=None, open_timeout=30
                ) as socket:
                    await socket.send(json.dumps({"token": self.token}))
                    async for text in socket:
                        failures = 0
                        message = json.loads(text)
                        self.room = message.get("room", self.room)
                        if message["type"] == "error":
                            self.record.errors.append(f"{self.name}: {message['sentence']}")
                            return
            except (OSError, WebSocketException):
                pass  # it is opened again below
            failures += 1
            self.record.cuts += 1
            await asyncio.sleep(min(LONGEST, 0.3 * 2**failures))
