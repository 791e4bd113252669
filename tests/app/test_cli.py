"""The command line, with a real network: what it prints, what it writes, and how it refuses."""

import csv
import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.cli import main
from attacks import __main__ as attacks_cli
from engine.engine import Engine
from engine.links import DEFAULT
from engine.recipe import Recipe
from models import __main__ as models_cli
from settings import ROOT, SAMPLES

ATTACK = ["attack", "cat", "--model", "photos", "--attack", "pgd", "--set", "epsilon=4/255"]
ALL_STEPS = ["--stop", "steps"]


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path), np.int16)


def classified(capsys: pytest.CaptureFixture[str], *images: str, status: int = 0) -> list[dict[str, Any]]:
    """Return what ``classify --json`` prints, line by line."""
    assert main(["classify", "--model", "photos", "--json", *images]) == status
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_classify_says_the_same_in_words_and_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "--model", "photos", "coffee"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (answer,) = classified(capsys, "coffee")
    assert answer.keys() == {"image", "top"} and answer["image"] == "coffee"
    assert lines == [f"{100 * row['probability']:6.2f} %  {row['label']}" for row in answer["top"]]
    assert len(lines) == 5 and 0 < sum(row["probability"] for row in answer["top"]) <= 1.0001


def test_a_file_is_classified_like_the_sample_that_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    sample, file = classified(capsys, "cat", str(ROOT / "assets" / "samples" / "cat.jpg"))
    assert sample["top"] == [
        row | {"probability": pytest.approx(row["probability"], abs=1e-4)} for row in file["top"]
    ]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Return a folder with pictures at two depths, and files that are no pictures."""
    samples = ROOT / "assets" / "samples"
    for name, sample in (("b.jpg", "cat"), ("a.JPG", "coffee"), ("inner/z.jpg", "motorcycle")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((samples / f"{sample}.jpg").read_bytes())
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._b.jpg").write_text("what a Mac leaves beside a picture")
    return tmp_path


def test_a_folder_is_read_in_order_and_what_cannot_be_read_stops_nothing(
    album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", "--model", "photos", "--json", str(album), "cat", "nowhere.jpg"]) == 1
    printed = capsys.readouterr()
    answers = [json.loads(line) for line in printed.out.splitlines()]
    files = [str(album / name) for name in ("a.JPG", "b.jpg", "broken.png", "inner/z.jpg")]
    assert [answer["image"] for answer in answers] == [*files, "cat", "nowhere.jpg"]
    labels = [answer["top"][0]["label"] if "top" in answer else "" for answer in answers]
    assert labels == ["cup", "cat", "", "motorbike", "cat", ""]
    refused = [answer for answer in answers if "error" in answer]
    assert [answer.keys() for answer in refused] == [{"image", "error"}] * 2
    assert printed.err.splitlines() == [f"{answer['image']}: {answer['error']}" for answer in refused]


def test_many_pictures_are_a_table(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {
        answer["image"]: answer["top"][0] for answer in classified(capsys, str(album / "inner"), "cat")
    }
    assert main(["classify", "--model", "photos", str(album / "inner"), "cat"]) == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        [f"{100 * top['probability']:.2f} %", top["label"], name] for name, top in answers.items()
    ]


def test_when_nothing_can_be_read_the_status_says_so(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = album / "empty"
    empty.mkdir()
    answers = classified(capsys, str(album / "broken.png"), str(empty), status=2)
    assert len(answers) == 2 and "PNG" in answers[0]["error"] and "got one with none" in answers[1]["error"]


def test_an_attack_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = [*ALL_STEPS, "--set", "steps=20", "--seed", "3", "--out", str(tmp_path), "--json"]
    assert main([*ATTACK, *more]) == 0
    printed, result = json.loads(capsys.readouterr().out), json.loads((tmp_path / "result.json").read_text())
    assert printed == result | {"folder": str(tmp_path)}
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
    second = classified(capsys, "cat")[0]["top"][1]["label"]
    assert main([*ATTACK, "--target", second.upper(), "--stop", "success", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["final"]["label"] == result["target"] == second
    assert result["stopped_because"] == "success" and result["steps"] < 41
    assert str(tmp_path) in capsys.readouterr().out


def test_a_minimal_attack_fools_from_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """DeepFool stops just beyond the boundary, which rounding to 8 bits alone would undo."""
    before = classified(capsys, "cat")[0]["top"][0]["label"]
    asked = ["attack", "cat", "--model", "photos", "--attack", "deepfool", "--out", str(tmp_path)]
    assert main(asked) == 0
    told = capsys.readouterr().out
    (again,) = classified(capsys, str(tmp_path / "adversarial.png"))
    assert again["top"][0]["label"] != before
    assert f"adversarial.png: {again['top'][0]['label']}" in told and "(fooled)" in told


def test_an_attack_needs_no_option_and_never_writes_over_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["attack", "panda", "--target", "vulture"]
    assert main(asked) == 0
    assert str(Path("foolscope-out", "panda-vulture")) in capsys.readouterr().out
    result = json.loads(Path("foolscope-out", "panda-vulture", "result.json").read_text("utf-8"))
    assert (result["original"]["label"], result["final"]["label"]) == ("giant panda", "vulture")
    recipe = Recipe.from_json(result["recipe"])
    assert result["success"] and recipe == replace(DEFAULT, image="panda", target=recipe.target)
    picture = str(Path("foolscope-out", "panda-vulture", "adversarial.png"))
    assert main(["classify", "--json", picture]) == 0  # the file goes in by the same door and still fools
    assert json.loads(capsys.readouterr().out)["top"][0]["label"] == "vulture"
    assert main([*asked, "--set", "steps=1"]) == 0
    assert str(Path("foolscope-out", "panda-vulture-2")) in capsys.readouterr().out
    assert json.loads(Path("foolscope-out", "panda-vulture", "result.json").read_text("utf-8")) == result
    assert sorted(path.name for path in Path("foolscope-out").iterdir()) == [
        "panda-vulture",
        "panda-vulture-2",
    ]


def test_a_target_may_go_by_its_rank(tmp_path: Path) -> None:
    engine = Engine()
    ranking = [outcome.label for outcome in engine.classify("photos", "cat")]
    engine.close()
    goals = {}
    for name in ("second", "Least  Likely", "random"):
        more = ["--target", name, "--seed", "5", "--set", "steps=1", "--no-finish", "--force"]
        assert main([*ATTACK, *more, "--out", str(tmp_path)]) == 0
        goals[name] = json.loads((tmp_path / "result.json").read_text("utf-8"))["target"]
    assert goals["second"] == ranking[1] and goals["Least  Likely"] == ranking[-1]
    assert goals["random"] == ranking[1:][random.Random(5).randrange(len(ranking) - 1)]


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
    "a folder without pictures": (["classify", "bench"], "bench"),
    "a folder to attack": (["attack", "bench"], "bench"),
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


def test_a_written_picture_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    assert main([*ATTACK, "--set", "steps=3", *ALL_STEPS, "--out", str(first)]) == 0
    assert main(["replay", str(first / "adversarial.png"), "--no-finish", "--out", str(again)]) == 0
    assert "so is its original" in capsys.readouterr().err
    before, after = (json.loads((folder / "result.json").read_text()) for folder in (first, again))
    assert after["final"] == before["final"] and after["recipe"] == before["recipe"]
    assert pixels(first / "adversarial.png").shape == (128, 128, 3)
    assert pixels(first / "adversarial-full.png").shape == pixels(SAMPLES / "cat.jpg").shape


def test_a_picture_from_elsewhere_is_not_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(ROOT / "assets" / "samples" / "cat.jpg")]) == 2
    assert "Expected a picture with a recipe" in capsys.readouterr().err


def test_what_is_there_is_not_overwritten_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*ATTACK, "--set", "steps=1", "--no-finish", "--out", str(tmp_path)]
    assert main(arguments) == 0
    written = (tmp_path / "result.json").read_bytes()
    assert main(arguments) == 2 and "--force" in capsys.readouterr().err
    assert (tmp_path / "result.json").read_bytes() == written
    assert main([*arguments, "--force"]) == 0
