"""Every part of “Look inside” on runs of every kind: networks as one, digits, the robust twin, no target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from app.inside import shelf
from app.inside.looking import Look
from app.inside.parts import PARTS
from attacks.contract import Stop
from engine.engine import Engine
from engine.inside import computed, words
from engine.recipe import Recipe
from engine.run import Run

STEPS = 6
DIGITS = [
    (model, target)
    for model in ("lenet+fc100", "lenet+fc100@probabilities", "lenet+fc100@worst", "fc100")
    for target in (3, None)
]
ROBUST = [("photos_robust", None)]
QUICK = {"cells": "8", "count": "4", "low": "0", "high": "0.5", "method": "occlusion"}
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    running = Engine()
    yield running
    running.close()


@dataclass(frozen=True)
class Kind:
    """A run that is over, and how its parts are asked."""

    engine: Engine
    run: Run

    def lines(self, part: str, **query: str) -> Lines:
        """Return the lines of a part's answer at the last step."""
        return list(PARTS[part](Look(self.engine, self.run, part, len(self.run) - 1, QUICK | query)))


def attacked(engine: Engine, model: str, target: int | None) -> Kind:
    image, epsilon = ("dog", 0.05) if "photos" in model else ("seven", 0.35)
    params = {"steps": STEPS, "epsilon": epsilon, "step_size": epsilon / 4}
    run = engine.submit(Recipe(model, image, "bim", params, target=target, stop=Stop("steps")))
    assert len(list(engine.follow(run))) == STEPS + 1
    return Kind(engine, run)


@pytest.fixture(params=[*DIGITS, *ROBUST], ids=lambda kind: f"{kind[0]}-{kind[1]}")
def kind(engine: Engine, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.setattr("app.inside.looking.COMPUTED", computed.Computed())
    return attacked(engine, *request.param)


def pairs(line: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """Yield the corners that a line of a plane is about, with their classes."""
    return zip(line["at"], line["labels"], strict=True)


def test_every_part_answers(kind: Kind) -> None:
    twin = kind.run.recipe.model == "photos_robust"
    for part in set(PARTS) - ({"twin"} if not twin else set()):
        kinds = {line["type"] for line in kind.lines(part)}
        assert len(kinds) > 0, part
    heard = kind.lines("saliency")
    assert len([line for line in heard if line["type"] == "map"]) == 6
    (channels,) = [line for line in kind.lines("layers") if line["type"] == "channels"]
    assert len(channels["channels"]) == 4
    distances = [line for line in kind.lines("boundary") if line["type"] == "distance"]
    assert len(distances) == 5
    if twin:
        *_, pair = kind.lines("twin")
        assert pair["own"]["title"] != pair["twin"]["title"] and pair["twin"]["steps"] == STEPS


def test_the_plane_says_at_the_adversarial_what_the_run_says(kind: Kind) -> None:
    length = kind.run.figures(STEPS)["l2"] or 0.0
    place = {"x": str(length), "y": "0", "half": str(length / 100)}  # the adversarial is in the middle
    heard = kind.lines("plane", **place, cells="4")
    labels = {at: label for line in heard if line["type"] == "asked" for at, label in pairs(line)}
    assert labels[2 * 5 + 2] == kind.run.top(STEPS, 1)[0].index


@pytest.mark.parametrize("label", range(10))
def test_every_digit_has_others_of_its_class_to_compare_with(engine: Engine, label: int) -> None:
    kind = attacked(engine, "lenet", None)
    assert len(shelf.of_class(Look(engine, kind.run, "layers", 0, {}), label)) >= 5


def test_the_words_name_the_network_that_they_are_about(kind: Kind) -> None:
    *_, written = kind.lines("words")
    of_first = [one["said"][1] for one in written["clauses"] if one["said"][0] == words.OF_FIRST]
    assert of_first == ([{"network": "LeNet"}] if "+" in kind.run.recipe.model else [])
    assert len(written["clauses"]) >= 5


def test_of_a_worst_case_the_least_fooled_network_is_asked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.inside.looking.COMPUTED", computed.Computed())
    kind = attacked(engine, "lenet+fc100@worst", None)
    own, start = kind.run.original, torch.from_numpy(kind.run.start)
    delta = torch.from_numpy(kind.run.picture(STEPS).copy()) - start
    shares = torch.linspace(0, 1, 400)
    pictures = (start + shares.view(-1, 1, 1, 1) * delta).clamp(0, 1)
    parts = [engine.model(name)(pictures).log_softmax(1) for name in ("lenet", "fc100")]
    one_resists = (parts[0].argmax(1) == own) | (parts[1].argmax(1) == own)
    mean_is_fooled = (parts[0] + parts[1]).argmax(1) != own
    places = (one_resists & mean_is_fooled).nonzero().flatten()
    assert len(places) > 0  # there the mean of both would say another class
    right = float(shares[places[len(places) // 2]] * delta.norm())
    heard = kind.lines("plane", x=str(right), y="0", half="0.001", cells="4")
    labels = {at: label for line in heard if line["type"] == "asked" for at, label in pairs(line)}
    assert labels[2 * 5 + 2] == own
