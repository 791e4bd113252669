"""The command line, with a real network: what it prints, what it writes, and how it refuses."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.__main__ import main
from attacks import __main__ as attacks_cli
from models import __main__ as models_cli

ROOT = Path(__file__).parents[1]
ATTACK = ["attack", "coffee", "--model", "photos", "--attack", "pgd", "--set", "epsilon=4/255"]


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path), np.int16)


def test_classify_says_the_same_in_words_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "coffee"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["classify", "coffee", "--json"]) == 0
    top = json.loads(capsys.readouterr().out)["top"]
    assert lines == [f"{100 * each['probability']:6.2f} %  {each['label']}" for each in top]
    assert len(top) == 5 and 0 < sum(each["probability"] for each in top) <= 1.0001


def test_a_file_is_classified_like_the_sample_that_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for name in ("cat", str(ROOT / "assets" / "samples" / "cat.jpg")):
        assert main(["classify", name, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1]


def test_an_attack_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ATTACK, "--set", "steps=20", "--seed", "3", "--out", str(tmp_path), "--json"]) == 0
    printed, result = json.loads(capsys.readouterr().out), json.loads((tmp_path / "result.json").read_text())
    assert printed == result
    assert result["success"] and result["final"]["label"] != result["original"]["label"]
    assert result["recipe"]["seed"] == 3 and result["recipe"]["params"]["steps"] == 20
    change = np.abs(pixels(tmp_path / "adversarial.png") - pixels(tmp_path / "original.png"))
    assert 3 <= change.max() <= 5  # four grey levels, give or take the rounding
    assert result["linf"] == pytest.approx(4 / 255, abs=1e-4)
    rows = list(csv.DictReader((tmp_path / "trajectory.csv").read_text().splitlines()))
    assert len(rows) == result["steps"] + 1 == 21
    assert rows[0]["top_class"] == result["original"]["label"]
    assert rows[-1]["top_class"] == result["final"]["label"]


def test_a_targeted_attack_stops_at_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "coffee", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)["top"][1]["label"]
    assert main([*ATTACK, "--target", second.upper(), "--stop", "success", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["final"]["label"] == result["target"] == second
    assert result["stopped_because"] == "success" and result["steps"] < 41
    assert str(tmp_path) in capsys.readouterr().out


def test_a_region_and_successes_in_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--stop", "2x", "--region", "0,0,0.5,1", "--set", "steps=60", "--set", "epsilon=64/255"]
    assert main([*ATTACK, *more, "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["stopped_because"] == "row" and result["recipe"]["region"] == [0, 0, 0.5, 1]
    pictures = [np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("original", "adversarial")]
    change, middle = pictures[0] != pictures[1], pictures[0].shape[1] // 2
    assert change[:, :middle].any() and not change[:, middle:].any()


REFUSALS = {
    "no file": (["classify", "nowhere.jpg"], "nowhere.jpg"),
    "a folder": (["classify", "assets"], "assets"),
    "not a picture": (["classify", "Makefile"], "JPEG, PNG"),
    "model": (["classify", "cat", "--model", "photoss"], "photos"),
    "crop": (["classify", "cat", "--crop", "2,2,2"], "crop"),
    "attack": ([*ATTACK, "--attack", "pdg"], "pgd"),
    "setting": ([*ATTACK, "--set", "stepz=1"], "stepz"),
    "value": ([*ATTACK, "--set", "epsilon=2"], "epsilon"),
    "pair": ([*ATTACK, "--set", "epsilon"], "NAME=VALUE"),
    "target": ([*ATTACK, "--target", "unicorn"], "unicorn"),
    "region": ([*ATTACK, "--region", "0,0,0,1"], "left,top,right,bottom"),
    "stop": ([*ATTACK, "--stop", "never"], "never"),
    "seed": ([*ATTACK, "--seed", "-1"], "seed"),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    arguments, named = REFUSALS[why]
    out = ["--out", str(tmp_path / "out")] if arguments[0] == "attack" else []
    assert main([*arguments, *out]) == 2
    said = capsys.readouterr()
    assert named in said.err and said.err.count("\n") == 1 and not said.out
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    assert main([*ATTACK, "--set", "steps=1", "--out", str(tmp_path / "taken")]) == 2
    assert str(tmp_path / "taken") in capsys.readouterr().err


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "app", "classify", "cat", "--model", "photoss"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 2 and "photos" in done.stderr and "Traceback" not in done.stderr


def test_attacks_and_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert attacks_cli.main(["--json"]) == 0
    attacks = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert {"fgsm", "bim", "pgd"} <= attacks.keys()
    (epsilon,) = (each for each in attacks["pgd"]["settings"] if each["name"] == "epsilon")
    assert epsilon["default"] == pytest.approx(8 / 255) and epsilon["low"] == 0
    assert models_cli.main(["--json"]) == 0
    models = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert models["photos"]["offline"] and models["photos"]["available"]
    assert models["resnet18"]["classes"] == 1000
    for listing, names in ((attacks_cli, attacks), (models_cli, models)):
        assert listing.main([]) == 0
        text = capsys.readouterr().out
        assert all(name in text for name in names)
