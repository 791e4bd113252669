"""All pairs of digits: the same as one path at a time, and the article's figures."""

from __future__ import annotations

import pytest

import experiments
from experiments.cache import Store
from experiments.core import run
from experiments.tanay2018 import tilting_angle
from experiments.tanay2018.svm_pairs import SVMPairs
from experiments.tanay2018.svm_path import SVMPath
from experiments.toolkit.packing import unpack


@pytest.fixture
def small(monkeypatch, tmp_path):
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    tilting_angle.pair.cache_clear()
    yield Store(tmp_path / "store")
    tilting_angle.pair.cache_clear()


def test_pairs_agree_with_the_path(small):
    made = SVMPairs(n=40, lambdas=5)
    answer = made.piece("38", small)
    alone = run(SVMPath(first=3, second=8, n=40, lambdas=5), small)["figures"]
    for key in ("angle", "d_adv", "test_error"):
        assert unpack(answer[key]) == pytest.approx(alone[key], abs=1e-3)
    done = dict.fromkeys(made.pieces(), answer)
    figures = made.figures(done)
    assert len(made.pieces()) == 45 and made.claims(figures) and figures["published"] is None
    assert figures["best"]["test_error"][0] == pytest.approx(min(alone["test_error"]), abs=1e-5)


def test_what_ships_agrees_with_the_article():
    result = experiments.shipped("svm_pairs")
    assert result is not None
    figures, published = result["figures"], tilting_angle.published(3, 5)
    assert published is not None and len(figures["published"]["worst"]) == 45
    mine = unpack(figures["scalars"]["angle"])[figures["pairs"].index("35")]
    assert mine == pytest.approx(published["angle"], abs=0.035)


@pytest.mark.parametrize("name", ["svm_path", "svm_path_01", "svm_path_23"])
def test_the_paths_that_ship_are_this_codes(name):
    result = experiments.shipped(name)
    assert result is not None and result["name"] == "svm_path" and result["settings"]["n"] == 3000
    made = SVMPath(**result["settings"])
    assert made.claims(result["figures"]) == result["claims"]
    assert len(unpack(result["figures"]["weights"]["images"])) == len(result["figures"]["angle"]) == 81
