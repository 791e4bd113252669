"""Command lines as programs: output in any encoding, readers who leave early, and Ctrl+C."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from settings import ROOT

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
PROGRAMS = sorted(
    path
    for path in ROOT.glob("[!.]*/**/*.py")
    if path.relative_to(ROOT).parts[0] != "tests" and '__name__ == "__main__"' in path.read_text("utf-8")
)


def program(
    arguments: Sequence[str], settings: dict[str, str] | None = None, cwd: Path = ROOT
) -> subprocess.CompletedProcess[bytes]:
    """Run Python with ``arguments`` and further environment variables."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | (settings or {})
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, check=False, timeout=240
    )


def unread(arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run Python with ``arguments`` and an output, buffered as usual, that nobody reads."""
    environment = os.environ | {"PYTHONUNBUFFERED": ""}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=writer, stderr=subprocess.PIPE,
            check=False,
            timeout=240,
        )  # fmt: skip
    finally:
        os.close(writer)


def script(body: str) -> list[str]:
    """Return the arguments that run ``body`` as the ``main`` of a command line."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return ["-c", f"import sys, console\ndef main():\n{lines}raise SystemExit(console.run(main))"]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_line_goes_through_the_console(path: Path) -> None:
    blocks = [
        node
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
    ]
    assert ast.unparse(blocks[-1].body[-1]).startswith("raise SystemExit(console.run(")


def test_the_attacks_are_listed_in_a_code_page() -> None:
    done = program(["-m", "attacks"], {"PYTHONIOENCODING": "cp1252"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert "sigma_zero: \\u03c3-zero (2024" in done.stdout.decode("cp1252")


def test_json_means_the_same_in_ascii_and_names_files_that_no_encoding_holds(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + "/σ “😀” ".encode() + b"\xe9.png"
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    os.rename(tmp_path / "red.png", file)
    command = ["-m", "app", "classify", "--model", "photos", "--json", str(tmp_path)]
    for settings, names, encoding in (
        (ASCII, "ascii", "ascii"),
        ({"PYTHONUTF8": "1", "PYTHONIOENCODING": "cp1252"}, "utf-8", "cp1252"),
    ):
        done = program(command, settings)
        assert (done.returncode, done.stderr) == (0, b"")
        image = json.loads(done.stdout.decode(encoding))["image"]
        assert image.encode(names, "surrogateescape") == file


def test_an_attack_writes_its_files_where_the_locale_is_ascii(tmp_path: Path) -> None:
    command = ["-m", "app", "attack", "cat", "--model", "photos", "--set", "steps=1"]
    done = program(command, ASCII, cwd=tmp_path)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    result = json.loads((tmp_path / "foolscope-out" / "cat-any" / "result.json").read_text("utf-8"))
    assert result["steps"] == 1 and result["stopped_in_words"].isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "app", "classify", "--model", "photos", "cat"],
        script("print('a short line that stays in the buffer')"),
        script("for _ in range(100_000): print('a line')"),
    ],
    ids=["classify", "short", "long"],
)
def test_a_reader_who_left_ends_it_without_a_word(arguments: list[str]) -> None:
    done = unread(arguments)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_reading_on_gives_the_status_and_the_output_of_main() -> None:
    done = program(script("print('\\u03c3')\nprint('\\xe9', file=sys.stderr)\nreturn 3"), ASCII)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"\\u03c3\n", b"\\xe9\n")


def test_a_mistake_in_the_program_is_still_shown() -> None:
    done = program(script("print('before')\nraise OSError('a mistake')"))
    assert done.returncode == 1 and done.stdout == b"before\n" and b"OSError: a mistake" in done.stderr


def test_without_any_output_it_runs() -> None:
    code = script("print('nobody sees this')\nreturn 4")[1].replace("raise", "sys.stdout = None\nraise", 1)
    assert program(["-c", code]).returncode == 4


def test_an_interrupt_ends_it_without_a_traceback() -> None:
    # A shell lets its background jobs ignore interrupts, and what they start inherits it.
    heeds = "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code = script(heeds + "print('ready', flush=True)\ntime.sleep(60)")
    with subprocess.Popen(
        [sys.executable, *code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout and running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGINT)
        assert running.communicate(timeout=60)[1] == b""
    assert running.returncode == 128 + signal.SIGINT
