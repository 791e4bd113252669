"""What a reader of a run is sent while the engine's thread goes on writing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.live import protocol
from components.live.protocol import Feed
from engine.recipe import Recipe
from tests.support import small_model


@pytest.fixture
def run():
    with small_model.engine(small_model.Gate()) as made:
        done = made.submit(Recipe("small", "cat", "bim", {"steps": 3}))
        list(made.follow(done))
        yield done


def test_a_class_that_comes_while_others_are_announced_is_announced_next(run, monkeypatch):
    """Each class once, in order: a page that never hears of one has a hole among its curves."""
    every, read = list(run.classes), run.log_p
    run.classes = every[:2]

    def grows(*asked: Any) -> Any:
        run.classes = every  # as the engine's thread may do between any two lines
        return read(*asked)

    monkeypatch.setattr(run, "log_p", grows)
    feed = Feed(run)
    frames = [frame for _ in range(2) for frame in feed.frames() if isinstance(frame, str)]
    messages = [json.loads(frame) for frame in frames]
    positions = [message["position"] for message in messages if message["type"] == "class"]
    assert len(every) > 2 and positions == list(range(len(every)))


def test_the_end_of_a_run_is_not_told_before_its_last_rows(run, monkeypatch):
    """A reader who hears of the end no longer asks: what had not come by then would never come."""
    run.status = "running"

    def ends(*_: object) -> None:
        run.status = "finished"  # as the engine's thread may do between any two lines

    monkeypatch.setattr(protocol, "_standing", ends)
    feed = Feed(run)
    status = json.loads(feed.frames()[-1])
    assert status["type"] == "status" and status["status"] == "running" and not status["end"]
    assert json.loads(feed.frames()[-1])["end"] and feed.ended


def test_whoever_asks_for_rows_is_not_told_an_end_that_came_after_them(run, monkeypatch):
    run.status, read = "running", run.scalars

    def ends(*asked: int) -> Any:
        run.status = "finished"
        return read(*asked)

    monkeypatch.setattr(run, "scalars", ends)
    assert not protocol.rows_message(run, 0)["status"]["end"]
    assert protocol.rows_message(run, 0)["status"]["end"]
