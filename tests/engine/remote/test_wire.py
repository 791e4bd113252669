"""Messages between a page's server and a replica, and who is asked when nobody answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.server import ServerConnection, serve

import errors
from engine.remote.client import LAST, TRIES, Client, Ending, Steps, steps_of
from engine.remote.plan import Plan
from engine.remote.wire import Array, Message, pack, plain, refusal, unpack
from errors import BadSetting, DownloadFailed, EngineFailed, FoolscopeError, UnknownName

STEPS = Steps(
    first=3,
    scalars=np.arange(20, dtype=np.float32).reshape(2, 10),
    log_p=np.full((2, 6), -1.5, np.float32),
    pictures={4: np.ones((3, 2, 2), np.float16)},
    latest=np.full((3, 2, 2), 0.25, np.float32),
    status="finished",
    heard=2,
    replica="host:1",
    end=Ending("finished", "success", None, None),
    timed=((8, True, 0.25),),
)


def test_steps_come_as_they_were_sent() -> None:
    came = steps_of(unpack(STEPS.packed()))
    assert (came.first, came.status, came.heard, came.end) == (3, "finished", 2, STEPS.end)
    assert came.timed == STEPS.timed and list(came.pictures) == [4]
    assert np.array_equal(came.scalars, STEPS.scalars) and np.array_equal(came.log_p, STEPS.log_p)
    assert came.pictures[4].dtype == np.float16 and came.latest is not None and came.latest[0, 0, 0] == 0.25


@pytest.mark.parametrize("memory", [None, (), (np.arange(3, dtype=np.uint8), np.ones((1, 2), np.float32))])
def test_what_an_attack_remembers_comes_as_it_was_sent_or_not_at_all(
    memory: tuple[Array, ...] | None,
) -> None:
    came = steps_of(unpack(replace(STEPS, memory=memory).packed())).memory
    assert (came is None) == (memory is None) and len(came or ()) == len(memory or ())
    for ours, theirs in zip(came or (), memory or (), strict=True):
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadSetting, match="Expected a message"):
        unpack(data)


def test_a_message_cut_short_is_refused() -> None:
    for length in range(0, len(STEPS.packed()), 7):
        with pytest.raises(BadSetting, match="Expected a message"):
            unpack(STEPS.packed()[:length])


@pytest.mark.parametrize(
    "error",
    [
        UnknownName.of("model", "lenett", ["lenet", "photos"]),
        BadSetting("Expected {low} or more, got {got}.", low=3, got=-1),
        DownloadFailed("http://x", "it is gone"),
        FoolscopeError("Braces {stay} as they are."),
    ],
)
def test_a_refusal_is_the_same_elsewhere(error: FoolscopeError) -> None:
    came = refusal(unpack(pack(Message({"error": plain(error)}))).head["error"])
    assert (type(came), str(came), came.sentence) == (type(error), str(error), error.sentence)


def test_a_refusal_of_another_version_is_a_refusal() -> None:
    for kind in ("Unheard", "difflib", "NO_NAME", None):
        assert type(refusal({"kind": kind, "sentence": "No."})) is FoolscopeError
    assert errors.FoolscopeError is FoolscopeError


def test_nobody_there_is_said_after_some_tries() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        waits = list[float]()
        client = Client(f"http://127.0.0.1:{taken.getsockname()[1]}", waits.append)
        with pytest.raises(EngineFailed, match="Expected an engine at http://127.0.0.1"):
            client.ask("/evaluate", Message({}))
        assert len(waits) == TRIES - 1 and waits == sorted(waits)
        with pytest.raises(EngineFailed, match="does not answer"):
            client.health()
        client.close()


def test_who_is_gone_before_the_first_answer_is_replaced() -> None:
    turns = iter(["gone", "answers", "breaks off"])

    def reply(opened: ServerConnection) -> None:
        opened.recv()
        turn = next(turns)
        for number in range(2) if turn != "gone" else ():
            opened.send(pack(Message({"answer": number})))
        if turn == "answers":
            opened.send(pack(Message({LAST: True})))

    with answering(reply) as address:
        client = Client(address, lambda seconds: None)
        assert [m.head["answer"] for m in client.answers("/ask", Message({}))] == [0, 1]
        answers = client.answers("/ask", Message({}))
        assert [next(answers).head["answer"] for _ in range(2)] == [0, 1]
        with pytest.raises(EngineFailed, match="does not answer"):
            next(answers)
        client.close()


@contextmanager
def answering(reply: Callable[[ServerConnection], None]) -> Iterator[str]:
    """Serve sockets, one after the other, and give the address."""
    with serve(reply, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


def test_a_plan_out_of_range_is_refused() -> None:
    for least, most in ((0, 1), (3, 2)):
        with pytest.raises(BadSetting, match="at least 1 replica"):
            Plan(least, most)
    for gpus, cpus in ((-0.5, 1.0), (1.5, 1.0), (0.5, -1.0)):
        with pytest.raises(BadSetting, match="got"):
            Plan(gpus=gpus, cpus=cpus)
    assert Plan(2, 4, gpus=0.25, port=81).address == "http://127.0.0.1:81"
