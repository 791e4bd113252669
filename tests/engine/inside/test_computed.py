"""What was computed is remembered within its limit, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.inside.computed import Computed, Key
from engine.run import Floats


@dataclass(frozen=True)
class Big:
    values: Floats


class Asked:
    """Stands for an engine: counts the questions, and whether one was closed before its end."""

    def __init__(self) -> None:
        self.asked, self.closed = 0, 0

    def probe(self, model: str, question: int) -> Iterator[Big]:
        self.asked += 1
        try:
            for _ in range(question):
                yield Big(np.zeros(250, np.float32))  # 1,000 bytes
        except GeneratorExit:
            self.closed += 1
            raise


def ask(memory: Computed, engine: Any, part: str, count: Any = 2) -> Iterator[Big]:
    return memory.ask(engine, "small", Key("run", part, 1), count)


def test_a_question_is_asked_once_and_the_oldest_is_forgotten():
    memory, engine = Computed(5_000), Asked()
    for part in ("a", "b", "a", "c", "a", "b"):  # c drives b out
        assert len(list(ask(memory, engine, part))) == 2
    assert engine.asked == 4 and memory.bytes <= 5_000
    assert [key.part for key in memory.of("run")] == ["a", "b"] and memory.of("other") == {}


def test_what_needs_no_network_is_computed_once_and_remembered_beside_the_rest():
    memory, engine, calls = Computed(), Asked(), []

    def compute():
        calls.append(1)
        yield from engine.probe("small", 2)

    first, again = (memory.ask_nobody(Key("run", "a", 1), compute) for _ in range(2))
    assert len(first) == 2 and again is first and len(calls) == 1
    assert list(ask(memory, engine, "a")) == list(first) and memory.of("run") == {Key("run", "a", 1): first}


def test_what_was_closed_is_not_remembered_and_ends():
    memory, engine = Computed(), Asked()
    answers = ask(memory, engine, "a")
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert engine.closed == 1 and memory.of("run") == {}


def test_the_state_changes_with_what_is_remembered():
    memory, engine = Computed(), Asked()
    before = memory.state("run")
    list(ask(memory, engine, "a"))
    assert memory.state("run") != before and memory.state("other") == before
