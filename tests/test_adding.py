"""Adding an attack, a network, an experiment, a lesson or a kind of challenge is adding a file, and a field
of a recipe one declaration: shown in a copy of the tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import save

from settings import ROOT

ATTACK = '''"""A step straight away from the image's own class, for a test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from attacks.contract import AttackCard
from attacks.fgsm import FGSM


@dataclass(frozen=True)
class Straight(FGSM):
    """One signed step, under another name."""

    card: ClassVar[AttackCard] = replace(FGSM.card, name="straight", title="Straight step", year=2026)
'''
MODEL = '''"""A linear network of three classes, for a test."""

from __future__ import annotations

from torch import nn

from models.core import Card, WeightsFile, register


def build() -> nn.Module:
    """Return the network before weights are put in."""
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))


register(
    Card(
        name="linear8",
        title="Linear, 8 x 8",
        summary="A linear network of three classes.",
        size=8,
        labels=("red", "green", "blue"),
        weights=WeightsFile("linear8.safetensors", "DIGEST"),
        training_set="None: its weights are drawn.",
        licence="CC0",
        parameters=579,
    ),
    build,
)
'''
EXPERIMENT = '''"""Counts to three, for a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from experiments.cache import Store
from experiments.core import Experiment, ExperimentCard, Stage


@dataclass(frozen=True)
class Count:
    """How far it counted."""

    value: int


@dataclass(frozen=True)
class Number(Stage):
    """One number."""

    answer: ClassVar[type] = Count
    number: int

    @property
    def name(self) -> str:
        """Return the number."""
        return str(self.number)


@dataclass(frozen=True)
class Counting(Experiment[Count, Count]):
    """Counts."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        "counting", "Counting", "How far?", "A paper", "https://example.org", "Table 1", digits=False
    )
    result: ClassVar[type] = Count

    def stages(self) -> list[Number]:
        """Return three numbers."""
        return [Number(1), Number(2), Number(3)]

    def carry_out(self, stage: Number, store: Store) -> Count:
        """Return the number."""
        return Count(stage.number)

    def summarise(self, answers: Sequence[Count]) -> Count:
        """Return the last number."""
        return answers[-1]

    def claims(self, figures: Count) -> dict[str, bool]:
        """Return whether it counted to three."""
        return {"It counts to three.": figures.value == 3}
'''
CHALLENGE = '''"""The brightest picture that fools, for a test."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from engine.rooms.challenges.contract import File, Kind, Outcome


@dataclass(frozen=True)
class Brightest(Kind):
    """Fool the network with the brightest picture."""

    name: ClassVar[str] = "brightest"
    title: ClassVar[str] = "The brightest"
    rule: ClassVar[str] = "Make {model} say “{goal}” of “{picture}”, as bright as can be."
    rule_any: ClassVar[str] = "Make {model} err on “{picture}”, as bright as can be."
    unit: ClassVar[str] = "brightness {score}"
    lower_wins: ClassVar[bool] = False

    def score(self, file: File) -> Outcome:
        """Return the mean grey level."""
        outcome = self.fooled(file)
        mean = float(np.asarray(file.picture, float).mean())
        return outcome if outcome.score is None else replace(outcome, score=mean)
'''
LESSON = '''"""A lesson of one line, for a test."""

from __future__ import annotations

from components.lesson import layout


def render() -> None:
    """Draw the lesson."""
    with layout.page("counting_lesson"):
        pass
'''
TEXT = """---
menu: Blind spots
order: 999
---
# title
A lesson of one line

# lead
It counts.

# story
One, two, three.

# maths
$1 + 1 + 1 = 3$
"""
FIELDS = """    blur: int = recipe_field(
        0,
        int,
        str,
        widget=Widget("whole number", "Blur", "How far to blur.", high=9),
        option=Option("How far to blur.", metavar="PIXELS"),
    )
    mirrored: bool = recipe_field(
        False,
        "1".__eq__,
        lambda value: str(int(value)),
        widget=Widget("toggle", "Mirrored", place="main"),
        option=Option("Left is right.", flag=True),
    )
    strength: float = recipe_field(0.5, float, str, widget=Widget("number", "Strength", step=0.1))
    corner: str = recipe_field(
        "top", str, str, widget=Widget("choice", "Corner", choices={"top": "Above", "bottom": "Below"})
    )

"""
LOOK = """
import json
import attacks, experiments, models
from app import lessons
from app.catalogue.tables import TABLES
from engine import links
from engine.recipe import Recipe
from streamlit.testing.v1 import AppTest

tables = {name: table() for name, table in TABLES.items()}

def app(source):
    return AppTest.from_string(source, default_timeout=120)

page = app("from app import lessons\\nlessons.registry()['counting_lesson'].render()")
card = app("from app.catalogue.page import render\\nrender()")
card.query_params["card"] = "straight"
playground = app("from app.playground.page import render\\nrender()")
playground.query_params.update({"model": "linear8", "attack": "straight", "blur": "3", "mirrored": "1"})
playground.query_params.update({"strength": "0.7", "corner": "bottom"})
shown = playground.run()
linked = links.read({"attack": "bim", "blur": "4", "mirrored": "1"}).recipe
plain = linked.to_json()
print(json.dumps({
    "attack": "straight" in attacks.registry() and "`straight`" in tables["attacks"],
    "model": "linear8" in models.registry() and "`linear8`" in tables["models"],
    "experiment": "counting" in experiments.registry() and "`counting`" in tables["experiments"],
    "menu": "counting_lesson" in lessons.menus()["Blind spots"],
    "lesson": [item.value for item in page.run().header],
    "card": any("Straight step" in str(item.value) for item in card.run().header),
    "boxes": {box.label: box.value for box in shown.selectbox},
    "problems": [item.value for item in shown.error],
    "link": [linked.blur, linked.mirrored, links.write(linked)["blur"], links.write(linked)["mirrored"]],
    "plain": [plain["blur"], plain["mirrored"], Recipe.from_json(plain) == linked],
    "older": Recipe.from_json({k: v for k, v in plain.items() if k not in ("blur", "mirrored")}).blur,
    "form": [shown.number_input(key="blur").value, shown.toggle(key="mirrored").value],
    "other kinds": [shown.slider(key="strength").value, shown.selectbox(key="corner").value],
    "labels": [shown.number_input(key="blur").label, shown.toggle(key="mirrored").label],
    "chosen": shown.number_input(key="blur").set_value(7).run().query_params["blur"],
}))
"""

BETWEEN = "---- next ----\n"
ATTACKED = """
import sys
from app.cli import main

command = ["attack", "coffee", "--model", "linear8", "--attack", "straight", "--json"]
assert main([*command, "--blur", "4", "--mirrored", "--out", sys.argv[1]]) == 0
"""
COUNTED = 'assert main(["experiments", "counting"]) == 0'
DESCRIBED = 'assert main(["attack", "--help"]) == 0'
HAND_IN = """
import io, json
import numpy as np
from PIL import Image
from components.rooms import messages
from engine.engine import Engine
from engine.history.database import Database
from engine.recipe import Recipe
from engine.rooms.competition import Competition
from engine.rooms.judge import Judge
from engine.rooms.rooms import Rooms

engine = Engine()
rooms = Rooms(Database())
competition = Competition(rooms)
code = rooms.open().room.code
challenge = competition.add(engine, rooms.room(code), "brightest", {"model": "lenet", "image": "seven"})
anna = rooms.join(code, "Anna").member
run = engine.submit(Recipe("lenet", "seven", "ddn", {"steps": 20}), owner=anna.owner)
rooms.note_run(anna, run.id)
while not run.over:
    run.wait(len(run), 10)
judge = Judge(engine, competition)
judged = judge.hand_in_run(rooms.room(code), anna, challenge.id, run.id)
mean = float(np.asarray(Image.open(io.BytesIO(judge.saved(run, True).data)).convert("L"), float).mean())
(shown,) = messages.room(rooms.room(code), "en")["challenges"]
print(json.dumps([judged.counts, judged.score == mean, shown["title"], shown["rule"]]))
engine.close()
"""


def with_compiled(source: Path, file: Path) -> None:
    """Copy what Python has compiled of ``source`` beside its copy, which is as old; it saves seconds."""
    if source.suffix == ".py" and (compiled := Path(cache_from_source(source))).is_file():
        beside = Path(cache_from_source(file))
        beside.parent.mkdir(exist_ok=True)
        shutil.copy2(compiled, beside)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree with one new file of each kind, the weights of the new network, and four more
    fields in a recipe."""
    copy = tmp_path_factory.mktemp("tree")
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
            with_compiled(ROOT / name, copy / name)
    drawn = torch.Generator().manual_seed(0)
    weights = save({"1.weight": torch.randn(3, 192, generator=drawn), "1.bias": torch.zeros(3)})
    (copy / "weights").mkdir()
    (copy / "weights" / "linear8.safetensors").write_bytes(weights)
    new = {
        "attacks/straight.py": ATTACK,
        "models/linear8.py": MODEL.replace("DIGEST", sha256(weights).hexdigest()),
        "experiments/nobody2026/counting.py": EXPERIMENT,
        "experiments/nobody2026/__init__.py": '"""A paper that is not there."""\n',
        "app/lessons/blind_spots/counting_lesson.py": LESSON,
        "assets/text/en/counting_lesson.md": TEXT,
        "engine/rooms/challenges/brightest.py": CHALLENGE,
    }
    for name, text in new.items():
        assert not (copy / name).exists()
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text, encoding="utf-8")
    recipe = (copy / "engine/recipe.py").read_text(encoding="utf-8")
    before = "    def __post_init__"
    assert recipe.count(before) == 1
    (copy / "engine/recipe.py").write_text(recipe.replace(before, FIELDS + before), encoding="utf-8")
    return copy


class Printed(NamedTuple):
    """What each of the programs above printed in the tree."""

    look: str
    attacked: str
    counted: str
    described: str
    handed_in: str


def python(tree: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"FOOLSCOPE_WEIGHTS": str(tree / "weights"), "FOOLSCOPE_HOME": str(home)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.fixture(scope="module")
def printed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Printed:
    """Run the programs in one process, whose imports take longer than they do."""
    home = tmp_path_factory.mktemp("home")
    parts = (LOOK, ATTACKED, COUNTED, DESCRIBED, HAND_IN)
    whole = f"print({BETWEEN!r}, end='')\n".join(f"{part}\n" for part in parts)
    done = python(tree, "-c", whole, str(home / "out"), home=home)
    assert done.returncode == 0, done.stderr
    return Printed(*done.stdout.split(BETWEEN))


def test_pages_and_tables_find_a_new_file_of_each_kind(printed: Printed) -> None:
    seen = json.loads(printed.look.splitlines()[-1])
    assert seen.pop("lesson") == ["A lesson of one line"]
    boxes = seen.pop("boxes")
    assert boxes["Network"] == "linear8" and boxes["Attack"] == "straight"
    assert seen.pop("link") == [4, True, "4", "1"] and seen.pop("plain") == [4, True, True]
    assert seen.pop("older") == 0
    assert seen.pop("form") == [3, True] and seen.pop("other kinds") == [0.7, "bottom"]
    assert seen.pop("labels") == ["Blur", "Mirrored"]
    assert seen.pop("chosen") in ("7", ["7"])
    assert seen.pop("problems") == [] and all(seen.values()), seen


def test_the_command_line_finds_them(printed: Printed) -> None:
    recipe = json.loads(printed.attacked)["recipe"]
    assert (recipe["attack"], recipe["blur"], recipe["mirrored"]) == ("straight", 4, True)
    assert json.loads(printed.counted)["claims"] == {"It counts to three.": True}
    described = printed.described
    assert "--blur PIXELS" in described and "How far to blur." in described and "--mirrored" in described


def test_a_room_competes_in_a_new_kind_of_challenge(printed: Printed) -> None:
    rule = "Make LeNet err on “Seven (for the digit networks)”, as bright as can be."
    assert json.loads(printed.handed_in.splitlines()[-1]) == [True, True, "The brightest", rule]


def test_the_contract_tests_find_them(tree: Path, tmp_path: Path) -> None:
    files = [
        "tests/attacks/test_contract.py",
        "tests/models/test_models.py",
        "tests/experiments/test_experiments.py",
    ]
    chosen = "straight or linear8 or (counting and card)"
    done = python(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, *files, home=tmp_path)
    summary = done.stdout.splitlines()[-1]
    assert done.returncode == 0 and int(summary.split()[0]) > 10, done.stdout[-2000:]
