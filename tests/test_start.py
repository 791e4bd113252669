"""start.py installs what is missing once, and starts; with a stand-in for the environment's Python."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import settings

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Return an environment whose Python writes down what it is called with."""
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    python.chmod(0o755)
    return tmp_path / "venv"


def start(venv: Path, *arguments: str, **environment: str) -> tuple[int, list[str], str]:
    """Return the exit status, what the environment's Python was called with, and the standard error."""
    calls = venv.parent / "calls"
    calls.unlink(missing_ok=True)
    command = [sys.executable, str(settings.ROOT / "start.py"), *arguments]
    inherited = {name: value for name, value in os.environ.items() if name not in ("LOCKED", "TORCH_INDEX")}
    done = subprocess.run(
        command,
        env=inherited | {"VENV": str(venv)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, calls.read_text().splitlines() if calls.exists() else [], done.stderr


def test_what_is_missing_is_installed_once(venv: Path) -> None:
    status, calls, _ = start(venv, "run", "--server.port", "8600")
    assert status == 0 and "install -r requirements.txt" in calls[0]
    assert calls[1:] == ["-m streamlit run app/main.py --server.port 8600"]
    assert start(venv, "run")[1] == ["-m streamlit run app/main.py"]


def test_a_page_whose_networks_are_elsewhere_gets_no_torch(venv: Path) -> None:
    assert "install -r requirements-page.txt" in start(venv, "run", FOOLSCOPE_ENGINE="http://gpus:8000")[1][0]
    assert "install -r requirements.txt" in start(venv, "run", FOOLSCOPE_ENGINE="embedded")[1][0]
    for extra in ("postgresql", "s3"):
        assert "-r requirements-page.txt" in (settings.ROOT / f"requirements-{extra}.txt").read_text()


def test_a_server_has_its_memory_in_two_heaps_unless_it_is_told_otherwise(venv: Path) -> None:
    python = venv / "bin" / "python"
    python.write_text(f'#!/bin/sh\necho "$MALLOC_ARENA_MAX $GLIBC_TUNABLES" >> {venv.parent}/calls\n')
    usual = " ".join(settings.of_a_server({}).values())
    assert usual.startswith("2 glibc.malloc.hugetlb=1:") and start(venv, "run")[1][-1] == usual
    assert start(venv, "run", MALLOC_ARENA_MAX="7")[1][-1] == usual.replace("2", "7", 1)
    container = (settings.ROOT / "Dockerfile").read_text()
    assert all(f"{name}={value}" in container for name, value in settings.of_a_server({}).items())


def test_replicas_get_ray_and_their_options(venv: Path) -> None:
    _, calls, _ = start(venv, "serve", "--replicas", "2")
    assert "install -r requirements-ray.txt" in calls[1] and calls[2:] == ["-m app serve --replicas 2"]


def test_the_tests_get_what_follows_and_a_browser(venv: Path) -> None:
    _, calls, _ = start(venv, "test", "-k", "pgd", FOOLSCOPE_CHROMIUM="/usr/bin/true")
    assert "requirements-dev.txt" in calls[1] and re.match("-m pytest -n [234] --dist ", calls[-1])
    assert calls[-1].endswith("-k pgd") and len(calls) == 3


def test_what_the_tests_have_compiled_is_written_down(venv: Path) -> None:
    (venv / "bin" / "python").write_text(f"#!/bin/sh\nenv > {venv.parent}/calls\n")
    _, variables, _ = start(venv, "test", FOOLSCOPE_CHROMIUM="/usr/bin/true", PYTHONDONTWRITEBYTECODE="1")
    assert "OMP_NUM_THREADS=1" in variables and "PYTHONDONTWRITEBYTECODE=1" not in variables


def test_what_the_tests_in_other_browsers_lack_is_named(venv: Path) -> None:
    programs = venv.parent / "programs"
    programs.mkdir()
    for name in ("WebKitWebDriver", "Xvfb"):
        (programs / name).touch(0o755)
    _, calls, error = start(venv, "test", FOOLSCOPE_CHROMIUM="/usr/bin/true", PATH=str(programs))
    assert error == "Tests in Firefox or in WebKit are skipped; on Debian: apt-get install firefox-esr\n"
    assert "-m pytest" in calls[-1], "the other tests run"


def test_locked_releases_and_another_index_are_taken_when_asked_for(venv: Path) -> None:
    _, calls, _ = start(venv, "install", LOCKED="1", TORCH_INDEX="https://example.org/cpu")
    assert "--index-url https://example.org/cpu torch==" in calls[0]
    assert calls[1].endswith("install -r requirements.txt -c requirements.lock")
    assert len(start(venv, "install")[1]) == 1, "without the lock it is another environment"


def test_a_room_is_opened_by_the_programs_own_command(venv: Path) -> None:
    _, calls, _ = start(venv, "room", "--port", "8600", "--title", "Friday")
    assert calls[-1] == "-m app room --port 8600 --title Friday"


def test_an_unknown_command_is_refused(venv: Path) -> None:
    status, calls, error = start(venv, "fly")
    assert status == 2 and calls == [] and "Expected one of run, test" in error and error.count("\n") == 1


def test_every_requirement_is_locked() -> None:
    locked = {
        line.split("==")[0]
        for line in (settings.ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line
    }
    for name in ("requirements-page.txt", "requirements.txt", "requirements-dev.txt"):
        lines = [line for line in (settings.ROOT / name).read_text().splitlines() if line[:1].isalpha()]
        assert {re.split("[>=\\[]", line)[0].lower() for line in lines} <= locked
