"""Code that leaves the page, run in a process of its own without this program: it ends where the run did."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import attacks
import models
from attacks.contract import Attack, Stop
from engine.engine import Engine
from engine.fields import Region
from engine.jobs import criterion_of, observed
from engine.recipe import Recipe
from engine.run import Run
from engine.scripting import Value
from engine.sharing import data, script, script_networks, script_steps
from errors import FoolscopeError
from models import imagenet

LITE = Recipe("efficientnet_lite0", "panda", "bim", {"steps": 4, "step_size": 1 / 255}, 23)
SQUEEZE = replace(LITE, model="squeezenet1_1")
"""The quickest network that there is code for, where it does not matter which."""
CASES = {
    "linf, target, probability": replace(LITE, stop=Stop("probability", 0.3)),
    "l2, momentum, a part, in a row": replace(
        SQUEEZE,
        attack="mi_fgsm",
        params={"steps": 5, "norm": "l2", "step_size": 1.0, "epsilon": 2.5},
        target=None,
        stop=Stop("row", times=2),
        region=Region(0.1, 0.2, 0.9, 0.8),
    ),
    "random start": replace(
        SQUEEZE,
        attack="pgd",
        params={"steps": 2, "step_size": 1 / 255, "epsilon": 3 / 255, "random_start": True},
        seed=5,
        stop=Stop("steps"),
    ),
    "l2 random start": replace(
        SQUEEZE,
        attack="pgd",
        params={"steps": 2, "step_size": 1.0, "epsilon": 4.0, "random_start": True, "norm": "l2"},
        seed=6,
        stop=Stop("success"),
    ),
    "ahead of the momentum": replace(SQUEEZE, attack="ni_fgsm", params={"steps": 4, "step_size": 1 / 255}),
    "DDN in a part": replace(
        LITE, attack="ddn", params={"steps": 7, "init_epsilon": 2.0}, region=Region(0.1, 0.1, 0.9, 0.9)
    ),
    "DeepFool": replace(SQUEEZE, attack="deepfool", params={"candidates": 4}, target=None),
    "DeepFool to a target, overshooting each step": replace(
        SQUEEZE, attack="deepfool", params={"steps": 6, "each_step": True}
    ),
    "Carlini and Wagner, in a row": replace(
        SQUEEZE,
        attack="carlini_wagner",
        params={"steps": 4, "search_steps": 3, "initial_const": 1.0, "confidence": 0.5},
        target=None,
        stop=Stop("row", times=4),
    ),
    "Carlini and Wagner to a target": replace(
        SQUEEZE, attack="carlini_wagner", params={"steps": 5, "search_steps": 2, "initial_const": 10.0}
    ),
}
FEW = {
    "steps": 2,
    "search_steps": 2,
    "samples": 2,
    "population": 12,
    "angles": 3,
    "shifts": 2,
    "targets": 1,
    "candidates": 3,
    "estimates": 8,
}
"""Settings that say how much is asked, where an attack has them."""
MORE: dict[str, dict[str, Value]] = {
    "fab": {"norm": "l2"},
    "fmn": {"steps": 5},
    "patch": {"placement": "random", "rotation": 10.0},
    "random_noise": {"epsilon": 0.1},
    "simba": {"steps": 10},
    "square": {"epsilon": 0.1},
    "towards": {"step_size": 1 / 255},
}
"""What some attacks need beside that, to get anywhere or to draw all that they can draw."""


def few(kind: type[Attack]) -> dict[str, Value]:
    """Return settings with which an attack asks little."""
    names = {item.name for item in kind.settings()}
    brief: dict[str, Value] = {name: value for name, value in FEW.items() if name in names}
    return brief | MORE.get(kind.card.name, {})


# Of every attack that has no text of its own, those that are yet to be written included.
SEARCHES = {
    name: replace(SQUEEZE, attack=name, params=few(kind), target=None, seed=3)
    for name, kind in attacks.registry().items()
    if kind not in script_steps.WRITERS
}
WRAPPED = {
    "torchvision's network, until it is fooled": replace(SQUEEZE, stop=Stop("success")),
    "APGD aimed in turn, in a row": replace(
        SQUEEZE,
        attack="apgd",
        params={"steps": 4, "loss": "dlr-targeted", "restarts": 2},
        target=None,
        stop=Stop("row", times=2),
    ),
    "FMN in l0 to a target": replace(SQUEEZE, attack="fmn", params={"steps": 3, "norm": "l0"}),
    "several attempts in l1": replace(
        SQUEEZE, attack="pgd", params={"steps": 2, "norm": "l1", "restarts": 2}, target=None
    ),
    "a random start in a part": replace(
        SQUEEZE, attack="pgd", params={"steps": 2, "random_start": True}, region=Region(0, 0, 1, 0.5)
    ),
    "rounds given up early": replace(
        SQUEEZE, attack="carlini_wagner", params={"steps": 11, "search_steps": 1, "abort_early": True}
    ),
    "rounded to 8 bits": replace(SQUEEZE, params={"steps": 2, "step_size": 1.5 / 255}, eight_bit=True),
    "made to survive": replace(
        SQUEEZE,
        params={"steps": 3, "step_size": 2 / 255},
        survives=("jpeg75", "half"),
        stop=Stop("probability", 0.2),
    ),
}


@pytest.fixture(scope="module")
def real():
    made = Engine()
    yield made
    made.close()


def carried_out(engine: Engine, recipe: Recipe) -> Run:
    run = engine.submit(recipe)
    assert list(engine.follow(run)) and run.status == "finished", run.sentence()
    return run


def clean(*arguments: str, folder: Path, **more: str) -> str:
    """Run Python where it cannot find this program; return what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FOOLSCOPE"))} | more
    done = subprocess.run(
        [sys.executable, "-I", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def last(printed: str) -> tuple[int, str, float]:
    """Return the last step that a script printed, its class and probability."""
    line = printed.strip().splitlines()[-1]
    match = re.fullmatch(r"step (\d+): (.+) ([\d.]+)", line)
    assert match, line
    step, label, p = match.groups()
    return int(step), label, float(p)


def agrees(run: Run, ended: tuple[int, str, float]) -> None:
    (best,) = run.top(len(run) - 1, 1)
    assert ended[:2] == (len(run) - 1, best.label) and abs(ended[2] - best.probability) < 0.02


ONE_AFTER_ANOTHER = """
import os, runpy, sys
for file in sys.argv[1:]:
    os.chdir(os.path.dirname(file))
    runpy.run_path(file)
    print("end of a script")
"""


BOTH = replace(LITE, model="efficientnet_lite0+efficientnet_lite2", params={"steps": 2, "step_size": 2 / 255})
MIXED = "efficientnet_lite0+squeezenet1_1"
TOGETHER = {
    "several networks as one": BOTH,
    "the mean of probabilities": replace(
        BOTH, model=f"{MIXED}@probabilities", attack="fmn", params={"steps": 2}, target=None
    ),
    "the least fooled of several": replace(BOTH, model=f"{MIXED}@worst"),
    "the least fooled, away from a class": replace(BOTH, model=f"{MIXED}@worst", target=None),
}
NOTEBOOKS = {
    attack: replace(LITE, attack=attack, params=params, target=None, stop=Stop("steps"))
    for attack, params in {
        "fgsm": {"epsilon": 2 / 255},
        "sigma_zero": {"steps": 4, "threshold": 0.1},
    }.items()
}
CASES |= SEARCHES | WRAPPED | TOGETHER
Repeated = dict[str, tuple[Run, Path, str]]
"""Each case's run, the folder of its file, and what that printed there."""


@pytest.fixture(scope="module")
def hub(shared: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of torchvision's network where it would have downloaded them to."""
    folder = tmp_path_factory.mktemp("torch")
    weights = folder / "hub" / "checkpoints"
    weights.mkdir(parents=True)
    torch.save(load_file(shared("weights/squeezenet1_1.safetensors")), weights / "squeezenet1_1-b8a52dc0.pth")
    return folder


@pytest.fixture(scope="module")
def repeated(real: Engine, hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Repeated:
    """The cases and notebooks, carried out here, and their files, one after the other in one process that
    knows nothing of this program."""
    folder = tmp_path_factory.mktemp("scripts")
    runs = {case: carried_out(real, recipe) for case, recipe in CASES.items()}
    books = {f"{case} as a notebook": carried_out(real, recipe) for case, recipe in NOTEBOOKS.items()}
    files = {case: unpacked(run, folder / str(number)) for number, (case, run) in enumerate(runs.items())}
    files |= {case: cells(run, folder / case) for case, run in books.items()}
    printed = clean("-c", ONE_AFTER_ANOTHER, *map(str, files.values()), folder=folder, TORCH_HOME=str(hub))
    texts = printed.split("end of a script\n")[:-1]
    found = zip(files.items(), texts, strict=True)
    return {case: ((runs | books)[case], file.parent, text) for (case, file), text in found}


def unpacked(run: Run, folder: Path) -> Path:
    """Unpack a run's bundle; return its script."""
    with zipfile.ZipFile(io.BytesIO(data.bundle(run, script.script(run)))) as archive:
        archive.extractall(folder)
    inside = folder / "foolscope-run"
    assert sorted(path.name for path in inside.iterdir()) == ["original.png", "recipe.json", "repeat.py"]
    imports = re.findall(r"^(?:from|import) .+", (inside / "repeat.py").read_text("utf-8"), re.M)
    assert len(imports) == len(set(imports))
    return inside / "repeat.py"


def cells(run: Run, folder: Path) -> Path:
    """Write down the code of a run's notebook alone, where no picture lies beside it."""
    notebook = nbformat.reads(script.notebook(run), as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown" and len(notebook.cells) == 6
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    folder.mkdir()
    (folder / "cells.py").write_text(code, encoding="utf-8")
    return folder / "cells.py"


@pytest.mark.parametrize("case", CASES)
def test_a_script_ends_where_the_run_did(repeated: Repeated, case: str) -> None:
    run, folder, printed = repeated[case]
    agrees(run, last(printed))
    with Image.open(folder / "adversarial.png") as image:
        written = np.asarray(image).transpose(2, 0, 1) / 255
    assert np.abs(written - run.picture(len(run) - 1)).mean() < 1.5 / 255
    assert np.abs(written - run.picture(0)).max() > 0.5 / 255


@pytest.mark.parametrize("attack", NOTEBOOKS)
def test_a_notebook_ends_where_the_run_did(repeated: Repeated, attack: str) -> None:
    run, _, printed = repeated[f"{attack} as a notebook"]
    agrees(run, last(printed))


def test_a_script_is_short_and_needs_nothing_of_ours(long):
    run = Run(replace(long.recipe, model="resnet18"), long.labels, long.start, long.original, 10)
    for _ in range(3):
        run.append(
            observed(run, criterion_of(run), torch.zeros(1000), torch.from_numpy(long.start), 1.0, 1, 1)
        )
    lines = [line for line in script.script(run).splitlines() if line.strip()]
    assert len(lines) <= 45
    for text in (script.script(run), script.script(long)):
        assert not re.search(r"\b(import|from) (attacks|models|engine|errors|settings)\b", text)
        compile(text, "repeat.py", "exec")


def test_a_run_that_was_stopped_by_hand_is_repeated_as_far_as_it_went(real):
    run = real.submit(replace(LITE, params={"steps": 50}), paused=True)
    real.step(run)
    assert run.wait(0, 60)
    real.cancel(run)
    assert f"LAST = {run.original}, {len(run) - 1}\n" in script.script(run)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": "lenet", "target": 3, "image": "seven"}, "LeNet"),
        ({"model": "lenet+fc100", "target": 3, "image": "seven"}, "LeNet"),
    ],
)
def test_what_there_is_no_code_for_is_said(long, changed, words):
    run = Run(replace(LITE, **changed), long.labels, long.start, long.original, 10)
    with pytest.raises(FoolscopeError, match=words):
        script.script(run)
    with pytest.raises(FoolscopeError, match=words):
        script.notebook(run)


def test_the_recipe_in_the_bundle_is_the_runs(short):
    with zipfile.ZipFile(io.BytesIO(data.bundle(short, "x"))) as archive:
        written = json.loads(archive.read("foolscope-run/recipe.json"))
    assert Recipe.from_json(written) == short.recipe


@pytest.mark.parametrize("name", imagenet.SOURCES)
def test_a_script_folds_what_this_program_folds(name):
    with torch.device("meta"):  # the shape of it is enough
        kinds = {type(module) for module in models.registry()[name].build().modules()}
    assert (nn.BatchNorm2d in kinds) is (name in script_networks.BATCH_NORM)
    assert any(issubclass(kind, nn.LayerNorm) for kind in kinds) is (name in script_networks.LAYER_NORM)
