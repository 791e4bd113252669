"""The queue of experiments: its order, its places, and who leaves it."""

from __future__ import annotations

import threading

import pytest

from engine.lab_queue import LabQueue
from errors import BadSetting, LabCancelled
from tests.engine.test_engine import eventually


class Lab(threading.Thread):
    """Computes until it is told to end; notes in ``log`` when it begins, and the places it was told."""

    def __init__(self, queue: LabQueue, name: str, log: list[str]) -> None:
        super().__init__(name=name, daemon=True)
        self.queue, self.log = queue, log
        self.end, self.places = threading.Event(), list[int]()
        self.place = queue.enter()
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with self.queue.turn(self.places.append, self.place) as place:
                self.log.append(self.name)
                while not self.end.wait(0.01):
                    place.check()
        except BaseException as error:
            self.error = error


@pytest.fixture
def log():
    return list[str]()


def test_one_at_a_time_in_the_order_of_arrival_and_each_knows_its_place(log):
    queue = LabQueue(1)
    labs = [Lab(queue, name, log) for name in "abc"]
    eventually(lambda: log == ["a"] and labs[2].places and labs[1].places)
    assert [lab.place.ahead for lab in labs] == [0, 1, 2] and labs[2].places[0] == 2 and not labs[0].places
    labs[0].end.set()
    eventually(lambda: log == ["a", "b"])
    assert labs[2].place.ahead == 1
    for lab in labs:
        lab.end.set()
        lab.join(10)
    assert log == ["a", "b", "c"] and not len(queue) and all(lab.error is None for lab in labs)


def test_so_many_at_the_same_time(log):
    queue = LabQueue(2)
    labs = [Lab(queue, name, log) for name in "abc"]
    eventually(lambda: sorted(log) == ["a", "b"])
    assert labs[2].place.ahead == 1
    labs[1].end.set()
    eventually(lambda: log[2:] == ["c"])
    for lab in labs:
        lab.end.set()
        lab.join(10)


def test_cancelling_ends_what_waits_at_once_and_what_runs_between_two_stages(log):
    queue = LabQueue(1)
    running, waiting, last = (Lab(queue, name, log) for name in "abc")
    eventually(lambda: log == ["a"])
    waiting.place.cancel()
    waiting.join(10)
    assert isinstance(waiting.error, LabCancelled) and last.place.ahead == 1
    running.place.cancel()
    running.join(10)
    assert isinstance(running.error, LabCancelled) and running.place.cancelled
    eventually(lambda: log == ["a", "c"])
    last.end.set()
    last.join(10)
    assert not len(queue)


@pytest.mark.parametrize("where", ["while it waits", "while it computes"])
def test_a_page_that_ends_leaves_the_queue(log, where):
    queue = LabQueue(1)
    if where == "while it waits":
        first = Lab(queue, "a", log)

        def gone(ahead):
            raise SystemExit("the tab was closed")

        with pytest.raises(SystemExit), queue.turn(gone):
            pass
        assert len(queue) == 1
        first.end.set()
        first.join(10)
    else:
        with pytest.raises(SystemExit), queue.turn():
            raise SystemExit("the tab was closed")
    assert not len(queue)


def test_how_many_is_a_setting(monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_LABS", "3")
    queue = LabQueue()
    assert [queue.enter().ahead for _ in range(5)] == [0, 0, 0, 1, 2]
    for nonsense in ("0", "-1", "many"):
        monkeypatch.setenv("FOOLSCOPE_LABS", nonsense)
        with pytest.raises(BadSetting, match="FOOLSCOPE_LABS"):
            LabQueue()
