"""What a container holds starts there: the tree without what .dockerignore leaves out, an unprivileged user,
no home that can be written to."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, expect
from safetensors.torch import save

from bench.site import Site, serve
from settings import ROOT
from tests.support.browser import Playground
from tests.support.file_server import Server

NOBODY = 65534


def ignored() -> tuple[list[str], list[str]]:
    """Return the names that .dockerignore leaves out at the top, and those that it lets in all the same."""
    lines = (ROOT / ".dockerignore").read_text().split()
    return [line for line in lines if line[0] not in "!*"], [line[1:] for line in lines if line[0] == "!"]


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """Return a folder that anybody may read, with what a container would hold, and a volume beside it."""
    folder = Path(tempfile.mkdtemp(prefix="foolscope-container-"))
    (folder / "volume").mkdir()
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    left_out, let_in = ignored()
    for name in names.splitlines():
        top = name.split("/")[0]
        hidden = top.startswith(".") and ".*" in left_out and top not in let_in
        if top not in left_out and not hidden:
            (folder / "srv" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / "srv" / name)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "volume").chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def as_nobody() -> list[str]:
    """Return what starts a command as another user, who may read everything (Python, too, lies somewhere) and
    write nothing; nothing where this user has no such right itself."""
    if os.geteuid() != 0:
        return []
    read = "+dac_read_search"
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return ["setpriv", *user, f"--inh-caps={read}", f"--ambient-caps={read}"]


def environment(image: Path) -> dict[str, str]:
    """Return the environment of a container: its volume, and no home."""
    inherited = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    own = {"HOME": "/nonexistent", "FOOLSCOPE_HOME": str(image / "volume")}
    return inherited | own | {"NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def container(image: Path) -> Iterator[Site]:
    """Return the server as it runs in a container."""
    with serve(root=image / "srv", prefix=as_nobody(), environment=environment(image)) as site:
        yield site


def test_what_is_left_out_is_left_out(image: Path) -> None:
    names = {path.name for path in (image / "srv").iterdir()}
    assert {"app", "assets", "settings.py", ".streamlit"} <= names and not names & {
        "tests",
        "docs",
        "bench",
        ".git",
    }


def test_pages_cards_and_a_run_work_there(window_maker: Browser, container: Site) -> None:
    here = Playground(window_maker.new_page(), container).open(
        "?model=photos&image=coffee&attack=bim&steps=3"
    )
    here.run()
    here.reaches("finished")
    here.page.goto(f"{container.url}/catalogue?card=pgd")
    card = here.page.get_by_role("heading", name="PGD", exact=True)
    expect(card.first).to_be_visible()
    expect(here.page.get_by_text("foolbox").first).to_be_visible()  # with which it was compared
    here.page.close()
    assert not here.complaints


def test_weights_are_fetched_into_the_volume(image: Path, file_server: Server) -> None:
    file_server.content = save({"weight": torch.zeros(2, 3)})
    digest = sha256(file_server.content).hexdigest()
    file = f"tiny-{digest[:8]}.safetensors"
    code = (
        "from models import weights; from models.core import Card, WeightsFile\n"
        f"source = WeightsFile('{file}', '{digest}', url='{file_server.base}{file}')\n"
        "print(weights.fetch(Card('tiny', 'Tiny', 'A test', 1, ('no', 'yes'), source)).path)"
    )
    command = [*as_nobody(), sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=image / "srv", env=environment(image), capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == str(image / "volume" / "weights" / file), done.stderr
    assert (image / "volume" / "weights" / file).read_bytes() == file_server.content
