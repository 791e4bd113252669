"""What a reader of a run is sent while the engine's thread goes on writing."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
