"""All pairs of digits: the same as one path at a time, and the article's figures."""

from __future__ import annotations

import json
from typing import Any

import pytest

import experiments
from experiments.cache import Store
from experiments.core import dump, run
from experiments.tanay2018 import tilting_angle
from experiments.tanay2018.calibration import Calibration
from experiments.tanay2018.depth import Depth
from experiments.tanay2018.lenet import LeNetDecay
from experiments.tanay2018.losses import Losses
from experiments.tanay2018.svm_pairs import PairStage, SVMPairs
from experiments.tanay2018.svm_path import SVMPath
from experiments.tanay2018.toy import Toy
from experiments.toolkit.packing import unpack
from settings import RESULTS


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    tilting_angle.pair.cache_clear()
    yield Store(tmp_path / "store")
    tilting_angle.pair.cache_clear()


def test_pairs_agree_with_the_path(small):
    made = SVMPairs(n=40, lambdas=5)
    answer = made.carry_out(PairStage(3, 8), small)
    alone = run(SVMPath(first=3, second=8, n=40, lambdas=5), small).figures
    for key in ("angle", "d_adv", "test_error"):
        assert unpack(getattr(answer.scalars, key)) == pytest.approx(getattr(alone, key), abs=1e-3)
    figures = made.summarise([answer] * 45)
    assert len(made.stages()) == 45 and made.claims(figures) and figures.published is None
    assert figures.best.test_error[0] == pytest.approx(min(alone.test_error), abs=1e-5)


def test_what_ships_agrees_with_the_article():
    result = experiments.shipped(SVMPairs)
    assert result is not None
    figures, published = result.figures, tilting_angle.published(3, 5)
    assert published is not None and figures.published is not None and len(figures.published.worst) == 45
    mine = unpack(figures.scalars.angle)[figures.pairs.index("35")]
    assert mine == pytest.approx(published.angle, abs=0.035)


@pytest.mark.parametrize("name", ["svm_path", "svm_path_01", "svm_path_23"])
def test_the_paths_that_ship_are_this_codes(name):
    result = experiments.shipped(SVMPath, name=name)
    assert result is not None and result.name == "svm_path" and result.settings["n"] == 3000
    settings: dict[str, Any] = result.settings
    made = SVMPath(**settings)
    assert made.claims(result.figures) == result.claims
    assert len(unpack(result.figures.weights.images)) == len(result.figures.angle) == 81


EVERY = [
    (SVMPath, "svm_path"),
    (SVMPath, "svm_path_01"),
    (SVMPath, "svm_path_23"),
    (SVMPairs, "svm_pairs"),
    (Losses, "losses"),
    (Depth, "depth"),
    (Toy, "toy"),
    (LeNetDecay, "lenet"),
    (Calibration, "calibration"),
]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_what_ships_is_written_as_it_was_read(kind, name):
    result = experiments.shipped(kind, name=name)
    assert result is not None
    shipped = (RESULTS / f"{name}.json").read_text(encoding="utf-8")
    assert json.dumps(dump(result), indent=1) + "\n" == shipped
