"""How experiments are found, carried out, kept, resumed and asked for on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

import experiments
from engine import intervals
from engine.images.sources import open_image
from engine.intervals import Estimate
from errors import BadSetting, MissingData, UnknownName
from experiments.__main__ import listing, main
from experiments.cache import Store
from experiments.core import (
    Experiment,
    ExperimentCard,
    Progress,
    Result,
    Stage,
    dump,
    load,
    run,
    stored,
    walk,
)
from experiments.datasets import digit_sets
from settings import ROOT


@dataclass(frozen=True)
class Square:
    value: int


@dataclass(frozen=True)
class Sum:
    sum: int


@dataclass(frozen=True)
class Number(Stage):
    answer: ClassVar[type] = Square

    number: int

    @property
    def name(self) -> str:
        return str(self.number)


@dataclass(frozen=True)
class Squares(Experiment[Square, Sum]):
    """Squares of numbers, and a power cut."""

    card: ClassVar[ExperimentCard] = ExperimentCard("squares", "Squares", "Is it so?", "P", "https://a", "T")
    result: ClassVar[type] = Sum
    asked: ClassVar[list[int]] = []
    dies_at: ClassVar[int] = 0

    def stages(self) -> list[Number]:
        return [Number(1), Number(2), Number(3)]

    def carry_out(self, stage: Number, store: Store) -> Square:
        if stage.number == self.dies_at:
            raise KeyboardInterrupt
        self.asked.append(stage.number)
        return Square(stage.number**2 + (stored(store, Number(1)).value if stage.number == 3 else 0))

    def summarise(self, answers: Sequence[Square]) -> Sum:
        return Sum(sum(answer.value for answer in answers) + self.seed)

    def claims(self, figures: Sum) -> dict[str, bool]:
        return {"The sum is fifteen.": figures.sum == 15}


@pytest.fixture
def squares():
    Squares.asked.clear()
    Squares.dies_at = 0
    return Squares


def test_an_experiment_goes_on_where_it_was_killed(squares, tmp_path):
    squares.dies_at = 3
    with pytest.raises(KeyboardInterrupt):
        run(squares(), Store(tmp_path))
    squares.dies_at = 0
    result = run(squares(), Store(tmp_path))
    assert squares.asked == [1, 2, 3] and result.figures == Sum(15)
    assert result.claims == {"The sum is fifteen.": True} and result.seconds >= 0


def test_what_was_run_is_not_run_again_and_other_settings_are_another_matter(squares, tmp_path):
    first = run(squares(), Store(tmp_path))
    assert run(squares(data="elsewhere"), Store(tmp_path)) == first and len(squares.asked) == 3
    other = run(squares(seed=1), Store(tmp_path))
    assert other.claims == {"The sum is fifteen.": False} and len(squares.asked) == 6


def test_progress_is_reported_before_each_stage(squares, tmp_path):
    *told, result = walk(squares(), Store(tmp_path))
    assert told == [Progress(0, 3, "1"), Progress(1, 3, "2"), Progress(2, 3, "3"), Progress(3, 3, "")]
    assert isinstance(result, Result) and load(Squares, json.loads(json.dumps(dump(result)))) == result


def test_a_setting_out_of_range_is_refused(squares):
    with pytest.raises(BadSetting, match="Expected n to be a whole number from 10 to 60,000"):
        squares(n=3)


@pytest.mark.parametrize("name", sorted(experiments.registry()))
def test_every_experiment_has_a_card_and_stages(name):
    made = experiments.get(name)()
    assert made.card.question.endswith("?") and made.card.url.startswith("https://") and made.card.source
    names = [stage.name for stage in made.stages()]
    assert names and len(set(names)) == len(names)
    json.dumps(made.depends())


@pytest.mark.parametrize("name", sorted(experiments.registry()))
def test_what_ships_is_what_the_code_says(name):
    """The shipped result has this code's claims, made from its own figures, over its own settings."""
    kind: Any = experiments.get(name)
    result: Any = experiments.shipped(kind)
    assert result is not None, f"run python -m experiments {name} --out assets/results/{name}.json"
    assert kind(**result.settings).claims(result.figures) == result.claims
    assert all(claim.endswith(".") for claim in result.claims) and result.claims


def test_the_command_line_lists_and_refuses(capsys, tmp_path):
    assert main(["--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed == listing() and {each["name"] for each in listed} == set(experiments.registry())
    if listed:
        assert main([listed[0]["name"], "--n", "many"]) == 2
        assert "Expected n to be a whole number" in capsys.readouterr().err
    with pytest.raises(UnknownName):
        experiments.get("nothing")


def test_asking_for_one_experiment_imports_no_other():
    assert experiments.alone("toy") is experiments.registry()["toy"]
    assert experiments.alone("core") is None and experiments.alone("__main__") is None
    asked = "import sys; from experiments.__main__ import parse; parse(['svm_path', '--lambdas', '17']); "
    seen = "print(sorted(name for name in sys.modules if name.endswith(('.svm_path', '.units'))))"
    done = subprocess.run([sys.executable, "-c", asked + seen], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "['experiments.tanay2018.svm_path']"


def test_digits_are_always_there(monkeypatch, tmp_path):
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    found = digit_sets.digits()
    assert found.source == digit_sets.SMALL and found.train_x.shape == (1397, 1, 28, 28)
    assert found.test_x.min() == 0 and 0.9 < found.test_x.max() <= 1 and len(found.test_y) == 400
    with pytest.raises(MissingData, match="mnist"):
        digit_sets.digits(str(tmp_path))


def test_intervals_against_scipy_and_by_coverage():
    exact = stats.binomtest(3, 50).proportion_ci(method="exact")
    found = intervals.share(3, 50)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert intervals.share(0, 9).low == 0 and intervals.share(9, 9).high == 1
    rng = np.random.default_rng(0)
    for estimate, centre in ((intervals.mean, 0.0), (intervals.median, 0.0)):
        draws = [estimate(list(rng.standard_normal(40))) for _ in range(400)]
        covered = sum((e.low or 0) <= centre <= (e.high or 0) for e in draws) / 400
        assert 0.92 <= covered <= 0.99
    assert intervals.mean([2.0]) == Estimate(2.0, None, None, 1)


def test_a_digit_opens_by_its_number(monkeypatch, tmp_path):
    monkeypatch.delenv("FOOLSCOPE_DATA", raising=False)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    picture = open_image("digit:small:test:7", sources={"digit": digit_sets.open_digit})
    assert picture.size == (28, 28) and picture.mode == "RGB"
    wanted = (digit_sets.digits().test_x[7, 0] * 255).round()
    assert np.array_equal(np.asarray(picture)[:, :, 0], wanted.numpy())
    for wrong in ("digit:small:test:100000", "digit:7", "digit:valid:1"):
        with pytest.raises(UnknownName, match="Expected a digit as test:NUMBER"):
            open_image(wrong, sources={"digit": digit_sets.open_digit})
    with pytest.raises(UnknownName, match="sample picture"):
        open_image("digit:test:7")
