"""What is written about a run is what happened, and the saved picture is judged from the file."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from attacks.contract import Stop
from engine import report
from engine.recipe import Recipe
from errors import FoolscopeError
from models.core import Crop
from tests.support import small_model


@pytest.fixture
def finished():
    with small_model.engine(small_model.Gate()) as engine:
        second = engine.classify("small", "coffee")[1].index
        recipe = Recipe(
            "small", "coffee", "bim", {"steps": 20, "epsilon": 16 / 255}, second, stop=Stop("success")
        )
        run = engine.submit(recipe)
        list(engine.follow(run))
        yield engine, run


def test_files_hold_what_the_run_saw(finished, tmp_path):
    engine, run = finished
    result = report.write(engine, run, tmp_path / "new" / "folder", "my photo.jpg")
    folder, last = tmp_path / "new" / "folder", len(run) - 1
    assert json.loads((folder / "result.json").read_text()) == result
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3 and result["final"]["label"] in page
    assert result["success"] and result["stopped_because"] == "success" and result["steps"] == last
    assert result["final"]["label"] == result["target"] != result["original"]["label"]
    assert result["linf"] <= 16 / 255 + 1e-6 and result["recipe"]["image"] == "my photo.jpg"
    assert result["gradient_evaluations"] == last + 1 or result["gradient_evaluations"] == last
    rows = list(csv.DictReader((folder / "trajectory.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(last + 1))
    for row in rows:
        outcome = run.prediction(int(row["step"]), run.recipe.target)
        assert float(row[f"p({outcome.label})"]) == pytest.approx(outcome.probability, rel=1e-4)
    assert rows[-1]["top_class"] == result["final"]["label"]


def test_the_saved_picture_is_judged_as_it_is_on_disk(finished, tmp_path):
    engine, run = finished
    result = report.write(engine, run, tmp_path, "coffee", finished=False)
    with Image.open(tmp_path / "adversarial.png") as picture:
        levels = np.asarray(picture, np.float32).transpose(2, 0, 1) / 255
        assert np.abs(levels - run.picture(len(run) - 1)).max() <= 0.5 / 255 + 1e-6
    p = engine.logits("small", torch.from_numpy(levels)[None])[0].softmax(0)
    assert result["saved"]["label"] == run.labels[int(p.argmax())]
    assert result["saved"]["probability"] == pytest.approx(float(p.max()), abs=1e-5)
    assert result["saved"]["success"] == (int(p.argmax()) == run.recipe.target)


def test_full_crop_of_a_picture_of_the_right_size_changes_nothing():
    levels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    seen = small_model.card().preprocess(Image.fromarray(levels), Crop(0.5, 0.5, 1.0))
    assert np.array_equal((seen.numpy() * 255).round().astype(np.uint8), levels.transpose(2, 0, 1))


def test_a_folder_that_is_a_file_is_refused(finished, tmp_path):
    engine, run = finished
    (tmp_path / "taken").write_text("x")
    with pytest.raises(FoolscopeError, match="Expected a folder"):
        report.write(engine, run, tmp_path / "taken", "coffee")
