"""Questions that look into a model take turns with runs, end when they are closed, and fail alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from engine.engine import Engine
from engine.inside.asking import Asker
from engine.inside.channels import ShelfPeaks
from engine.inside.pace import Pace
from engine.inside.saliency import INTEGRATED, OCCLUSION, Saliency
from engine.probes import NOT_READ, WEIGHT, Probe
from engine.scheduler import Scheduler
from errors import BadSetting, FoolscopeError, OutOfMemory
from models.core import Classifier

MODEL = "lenet"
FULL_DEVICE = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB, max allowed: 18.1 GB)"),
]
closed = threading.Event()


@dataclass(frozen=True)
class Squares:
    """Yields squares; notes when it is closed."""

    count: int
    fails_at: int = -1

    def pieces(self, network: Classifier) -> Iterator[tuple[int, str]]:
        try:
            for index in range(self.count):
                if index == self.fails_at:
                    raise BadSetting("Expected less than {most}, got {index}.", most=3, index=index)
                yield index * index, threading.current_thread().name
        finally:
            closed.set()


@dataclass(frozen=True)
class First:
    """Asks the network itself."""

    image: torch.Tensor

    def pieces(self, network: Classifier) -> Iterator[torch.Tensor]:
        with torch.no_grad():
            yield network(self.image[None])[0].cpu()


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


def test_answers_come_in_order_from_the_engines_thread(engine: Engine) -> None:
    answers = list(engine.probe(MODEL, Squares(5)))
    assert [number for number, _ in answers] == [0, 1, 4, 9, 16]
    assert {thread for _, thread in answers} == {"foolscope-engine"}


def test_the_network_is_the_one_that_runs_are_made_on(engine: Engine) -> None:
    size = engine.model(MODEL).card.size
    image = torch.rand(engine.model(MODEL).card.channels, size, size)
    (logits,) = engine.probe(MODEL, First(image))
    assert torch.allclose(logits, engine.logits(MODEL, image[None])[0], atol=1e-5)


def test_one_that_fails_says_why_where_it_was_asked_and_the_others_go_on(engine: Engine) -> None:
    answers = engine.probe(MODEL, Squares(5, fails_at=2))
    assert [next(answers)[0], next(answers)[0]] == [0, 1]
    with pytest.raises(BadSetting, match="Expected less than 3, got 2"):
        next(answers)
    assert len(list(engine.probe(MODEL, Squares(3)))) == 3
    assert engine.health().breaks == 0


def test_closing_the_iterator_cancels_the_rest(engine: Engine) -> None:
    closed.clear()
    answers = engine.probe(MODEL, Squares(3000))
    next(answers)
    answers.close()
    assert closed.wait(10)


def test_one_that_nobody_reads_ends(engine: Engine) -> None:
    closed.clear()
    answers = engine.probe(MODEL, Squares(10**9))
    next(answers)
    assert closed.wait(60)
    with pytest.raises(FoolscopeError, match=NOT_READ):
        for _ in answers:
            pass


def test_two_take_turns(engine: Engine) -> None:
    ahead = engine.probe(MODEL, Squares(10**6))
    next(ahead)
    assert [number for number, _ in engine.probe(MODEL, Squares(3))] == [0, 1, 4]  # ends before the other
    ahead.close()


def test_runs_have_the_device_but_for_a_small_part() -> None:
    scheduler, seconds = Scheduler(), {"run": 0.0, "probe": 0.0}
    scheduler.add("probe", "probes", 2**30)
    for _ in range(50):  # alone it may have all
        assert scheduler.tick() == ["probe"]
        scheduler.spent("probes", WEIGHT * 0.2)
    scheduler.add("run", "photos", 1)
    for _ in range(5000):
        (who,) = scheduler.tick()
        cost = 0.04 if who == "run" else 0.15
        seconds[who] += cost
        scheduler.spent("photos" if who == "run" else "probes", cost if who == "run" else WEIGHT * cost)
    assert 0.05 < seconds["probe"] / seconds["run"] < 0.1


@contextmanager
def room_for(network: Classifier, rows: int, error: Exception) -> Iterator[list[int]]:
    """Have a network's device hold so many images, and yield how many were answered together."""
    batches: list[int] = []

    def full(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if len(given[0]) > rows:
            raise error
        batches.append(len(given[0]))

    hook = network.network.register_forward_pre_hook(full)
    try:
        yield batches
    finally:
        hook.remove()


@dataclass(frozen=True)
class Many:
    """Asks for the logits of many images, in batches."""

    images: torch.Tensor

    def pieces(self, network: Classifier) -> Iterator[torch.Tensor]:
        asker = Asker(network)
        for batch in asker.batches(len(self.images)):
            yield asker.logits(self.images[batch])


def questions(engine: Engine) -> dict[str, Probe[object]]:
    """Return questions that ask about several images at once, with the number of rows of a batch."""
    card = engine.model(MODEL).card
    shape = (70, card.channels, card.size, card.size)
    images = np.random.default_rng(0).random(shape, np.float32)
    layer = next(n for n, m in engine.model(MODEL).named_modules() if isinstance(m, nn.Conv2d))
    return {
        "many": Many(torch.from_numpy(images)),
        "integrated": Saliency(images[0], 3, INTEGRATED, nodes=40),
        "occlusion": Saliency(images[0], 3, OCCLUSION),
        "peaks": ShelfPeaks(images[:24], layer),
    }


def numbers(answers: list[object]) -> torch.Tensor:
    """Return all numbers of a question's answers in one row."""
    arrays = [a if isinstance(a, torch.Tensor) else getattr(a, "values", None) for a in answers]
    return torch.cat([torch.as_tensor(array).flatten() for array in arrays if array is not None])


@pytest.mark.parametrize("error", FULL_DEVICE, ids=["cuda", "mps"])
@pytest.mark.parametrize("name", ["many", "integrated", "occlusion", "peaks"])
def test_one_for_which_the_device_has_no_memory_is_put_through_in_parts(
    engine: Engine, name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.inside.pace.SECONDS", 60.0)  # batches grow as far as they may
    question = questions(engine)[name]
    expected = numbers(list(engine.probe(MODEL, question)))
    with room_for(engine.model(MODEL), 3, error) as batches:
        answers = numbers(list(engine.probe(MODEL, question)))
    assert torch.allclose(answers, expected, rtol=1e-4, atol=1e-5) and 1 < max(batches) <= 3


@pytest.mark.parametrize("error", FULL_DEVICE, ids=["cuda", "mps"])
def test_a_device_without_room_for_one_image_says_so(engine: Engine, error: Exception) -> None:
    with (
        room_for(engine.model(MODEL), 0, error),
        pytest.raises(OutOfMemory, match="no memory left on cpu for one image of LeNet"),
    ):
        list(engine.probe(MODEL, questions(engine)["many"]))
    assert engine.health().breaks == 0 and list(engine.probe(MODEL, Squares(2)))


def test_another_error_is_not_tried_again_in_parts() -> None:
    asked: list[int] = []

    def broken(x: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        Pace().in_parts(broken, torch.zeros(8, 1))
    assert asked == [8]


def test_a_question_that_waits_when_the_engine_closes_is_told() -> None:
    engine = Engine()
    answers = engine.probe(MODEL, Squares(10**9))
    next(answers)
    closing = threading.Timer(0.2, engine.close)
    closing.start()
    with pytest.raises(FoolscopeError):
        for _ in answers:
            pass
    closing.join()
