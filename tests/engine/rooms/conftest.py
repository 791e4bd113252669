"""A room with two people, a real engine and a real database."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from attacks.contract import Stop
from engine.engine import Engine
from engine.export.making import Wanted
from engine.history.database import Database
from engine.recipe import Recipe
from engine.rooms.competition import Competition
from engine.rooms.judge import Judge
from engine.rooms.records import Allowed, Challenge, Member, Room
from engine.rooms.rooms import Rooms
from engine.rooms.votes import Votes
from engine.run import Run


@dataclass
class Class:
    """A room, its people and what judges them."""

    engine: Engine
    rooms: Rooms
    code: str

    def __post_init__(self) -> None:
        self.competition = Competition(self.rooms)
        self.judge = Judge(self.engine, self.competition)
        self.votes = Votes(self.engine, self.competition)

    @property
    def room(self) -> Room:
        return self.rooms.room(self.code)

    def join(self, name: str) -> Member:
        return self.rooms.join(self.code, name).member

    def set(self, kind: str, **settings: Any) -> Challenge:
        return self.competition.add(self.engine, self.room, kind, settings)

    def run(self, member: Member, model: str, image: str, attack: str = "bim", **more: Any) -> Run:
        """Carry out a run of a member."""
        stop = Stop(more.pop("stop", "steps"))
        parts = {name: more.pop(name) for name in ("target", "seed", "crop", "survives") if name in more}
        run = self.engine.submit(Recipe(model, image, attack, more, stop=stop, **parts), owner=member.owner)
        self.rooms.note_run(member, run.id)
        while not run.over:
            run.wait(len(run), 10)
        assert run.status == "finished", run.error
        return run

    def file(self, run: Run, finished: bool = True) -> bytes:
        """Return the PNG that is downloaded of a run."""
        return self.engine.export(run, Wanted("network", len(run) - 1, finished)).data

    def hand_in(self, member: Member, challenge: Challenge, what: Run | bytes) -> Any:
        """Hand in a run or a file."""
        if isinstance(what, bytes):
            return self.judge.hand_in_file(self.room, member, challenge.id, what)
        return self.judge.hand_in_run(self.room, member, challenge.id, what.id)


def pixels(png: bytes) -> np.ndarray:
    """Return a PNG's pixels ``(h, w, 3)``, read by nothing of this project."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    made = Engine(torch.device("cpu"))
    yield made
    made.close()


@pytest.fixture
def lesson(engine: Engine, address: str) -> Iterator[Class]:
    rooms = Rooms(Database(address))
    allowed = Allowed(models=("lenet", "photos"))
    yield Class(engine, rooms, rooms.open("Friday", allowed).room.code)
    rooms.database.close()
