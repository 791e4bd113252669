"""The one engine of this process, shared by pages and routes."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import streamlit as st

import settings
from app import logs
from errors import EngineFailed, FoolscopeError

if TYPE_CHECKING:
    from PIL.Image import Image

    from engine.base import EngineBase
    from engine.rooms.judge import Judge
    from engine.rooms.rooms import Rooms
    from engine.rooms.votes import Votes

log = logging.getLogger("foolscope")
_up, _closing = threading.Event(), threading.Event()
AGAIN = 5.0
"""Seconds until replicas are asked again that did not answer."""
SWEEP_EVERY = 10 * 60.0
"""Seconds between two looks for rooms that nobody uses any more."""


@st.cache_resource(show_spinner=False)
def engine() -> EngineBase:
    """Return the engine; the first call imports torch, which takes seconds."""
    from engine.chosen import chosen

    started = chosen(
        {
            "digit": _digit,
            "photo": partial(_of_photos, "open_photograph"),
            "plain": partial(_of_photos, "plain"),
        }
    )
    _up.set()
    return started


@st.cache_resource(show_spinner=False)
def rooms() -> Rooms:
    """Return the rooms of this server, in the engine's database."""
    from engine.rooms.rooms import Rooms

    return Rooms(engine().history.database)


@st.cache_resource(show_spinner=False)
def judge() -> Judge:
    """Return who judges what is handed in in this server's rooms."""
    from engine.rooms.competition import Competition
    from engine.rooms.judge import Judge

    return Judge(engine(), Competition(rooms()))


@st.cache_resource(show_spinner=False)
def votes() -> Votes:
    """Return what people see in what was handed in."""
    from engine.rooms.votes import Votes

    return Votes(engine(), judge().competition)


def _digit(name: str) -> Image:
    """Return a digit of the data set, which is where experiments are carried out."""
    from engine.work import only_answer
    from experiments.work import DigitNamed

    return only_answer(engine(), DigitNamed(name))


def _of_photos(function: str, name: str) -> Image:
    """Return what a function of the photos' module opens, imported when something is asked for."""
    opened: Image = getattr(importlib.import_module("experiments.datasets.photos"), function)(name)
    return opened


def ready() -> bool:
    """Say whether the engine is up, without waiting for it."""
    return "engine.engine" in sys.modules and _up.is_set()


def warm() -> None:
    """Import torch, start the engine and load the first network, so that no visitor waits for it; replicas
    that are not there yet are asked again until they are."""
    while not _asked():
        if _closing.wait(AGAIN):
            return
    log.info("ready on %s", engine().device)


def _asked() -> bool:
    """Ask the engine about the first picture, and say whether it answered."""
    with _uncollected():
        first = engine()
        from engine.links import DEFAULT

        try:
            first.classify(DEFAULT.model, DEFAULT.image)
        except EngineFailed as error:  # whoever asks meanwhile is told so
            log.error("%s", error)
            return False
    return True


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let the server hand out the page while this thread imports, which makes so much that everything would
    be collected again and again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what is loaded stays: later collections need not walk it
        gc.enable()


def sweep() -> None:
    """Delete the rooms that nobody has used for a long time; what prevents it is logged."""
    from engine.rooms import ending

    try:
        ending.sweep(engine(), rooms(), settings.room_days())
    except FoolscopeError as error:
        log.error("%s", error)


async def _sweep_now_and_then() -> None:
    while True:
        await anyio.sleep(SWEEP_EVERY)
        await anyio.to_thread.run_sync(sweep)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Warm up beside the server, which answers meanwhile; close the engine at the end."""
    logs.set_up()  # once more: the server has set up its own since
    _closing.clear()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, warm)
        tasks.start_soon(_sweep_now_and_then)
        yield
        _closing.set()
        tasks.cancel_scope.cancel()
    await anyio.to_thread.run_sync(engine().close)
