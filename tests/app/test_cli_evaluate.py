"""``python -m app attack FOLDER``: the whole path, a kill in the middle of it, and refusals."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from settings import ROOT
from tests.support import digit_folder

GRID = ["--models", "lenet,lenet_low", "--attacks", "fgsm,ddn", "--epsilons", "0,20/255", "--set", "steps=20"]
ROWS_OF_A_PICTURE = 2 * (2 + 1)  # networks, and of fgsm both budgets


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_becomes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = digit_folder.write(tmp_path / "digits", 3)
    (tmp_path / "digits" / "1" / "broken.png").write_bytes(digit_folder.BROKEN)
    out = tmp_path / "out"
    assert main(["attack", str(tmp_path / "digits"), *GRID, "--out", str(out)]) == 0
    table, said = rows(out), capsys.readouterr()
    assert len(table) == 4 * ROWS_OF_A_PICTURE
    assert {row["file"]: row["label"] for row in table} == {f: str(n) for f, n in shown.items()} | {
        "1/broken.png": "1"
    }
    assert {row["file"] for row in table if row["error"]} == {"1/broken.png"}
    assert said.err.count("1/broken.png: Expected a whole PNG") == 1
    assert "lenet_low, fgsm, linf 20/255: 4 pictures, 1 failed; clean accuracy" in said.out
    assert (out / "index.html").exists() and (out / "rows.parquet").exists()
    names = [row["picture"] for row in table if row["success"] == "true"]
    assert names and all((out / name).is_file() for name in names)


def test_called_again_it_goes_on_and_with_other_arguments_it_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digit_folder.write(tmp_path / "digits", 2)
    out = ["--model", "lenet", "--attack", "fgsm", "--no-pictures", "--json", "--out", str(tmp_path / "out")]
    command = ["attack", str(tmp_path / "digits"), *out]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    begun = (tmp_path / "out" / "rows.jsonl").read_bytes()
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert (tmp_path / "out" / "rows.jsonl").read_bytes() == begun
    assert main([*command, "--set", "epsilon=0.2"]) == 2
    assert "begun with other settings" in capsys.readouterr().err
    assert main([*command, "--set", "epsilon=0.2", "--force"]) == 0
    assert {row["epsilon"] for row in rows(tmp_path / "out")} == {"0.2"}


def test_a_killed_process_loses_no_row_and_doubles_none(tmp_path: Path) -> None:
    digit_folder.write(tmp_path / "digits", 12)
    out, journal = tmp_path / "out", tmp_path / "out" / "rows.jsonl"
    more = ["--model", "lenet", "--attacks", "pgd,ddn", "--stop", "steps", "--out", str(out)]
    command = [sys.executable, "-m", "app", "attack", str(tmp_path / "digits"), *more]
    options: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **options) as process:
        begun = time.monotonic()
        while time.monotonic() < begun + 120 and (
            not journal.exists() or journal.read_bytes().count(b"\n") < 3
        ):
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    killed = journal.read_bytes()
    whole = killed[: killed.rfind(b"\n") + 1]
    assert 3 <= whole.count(b"\n") < 24 and not (out / "rows.csv").exists()
    assert main(command[3:]) == 0
    assert journal.read_bytes().startswith(whole)
    table = rows(out)
    assert len({(row["file"], row["attack"]) for row in table}) == len(table) == 24
    assert all(row["success"] and not row["error"] for row in table)


def test_a_file_with_several_attacks_is_a_table_too(tmp_path: Path) -> None:
    digit_folder.write(tmp_path, 1)
    file = str(tmp_path / "0" / "000.png")
    assert (
        main(["attack", file, "--model", "lenet", "--attacks", "fgsm,bim", "--out", str(tmp_path / "o")]) == 0
    )
    assert [row["attack"] for row in rows(tmp_path / "o")] == ["fgsm", "bim"]


def test_a_folder_of_which_nothing_can_be_read_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.png").write_bytes(digit_folder.BROKEN)
    assert main(["attack", str(tmp_path / "in"), "--model", "lenet", "--out", str(tmp_path / "out")]) == 2
    assert "got none" in capsys.readouterr().err and len(rows(tmp_path / "out")) == 1


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--epsilons", "0,x"], "x"),
        (["--models", "lenet,nowhere"], "nowhere"),
        (["--attacks", "pdg"], "pgd"),
        (["--labels", "no.csv"], "no.csv"),
        (["--target", "unicorn"], "unicorn"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    options: list[str], named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digit_folder.write(tmp_path / "digits", 1)
    command = ["attack", str(tmp_path / "digits"), "--model", "lenet", "--out", str(tmp_path / "out")]
    assert main([*command, *options]) == 2
    said = capsys.readouterr()
    assert named in said.err and said.err.count("\n") == 1 and not said.out
    assert not (tmp_path / "out").exists()
