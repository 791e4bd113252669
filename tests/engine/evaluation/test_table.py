"""The table against a plain loop and against single runs; what breaks off goes on; what the files hold."""

import csv
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from scipy import stats

import models
from engine.engine import Engine
from engine.evaluation import tables
from engine.evaluation.evaluation import Evaluation
from engine.evaluation.journal import Journal
from engine.evaluation.pictures import in_folder, labelled
from engine.evaluation.record import COLUMNS, Picture, Plan, Row
from engine.evaluation.summary import groups, lines
from engine.images.sources import read_bytes
from errors import BadSetting, FoolscopeError, MissingExtra
from tests.support import digit_folder

PLAN = Plan(("lenet",), ("fgsm", "pgd"), {"steps": "5"}, (0.0, 0.1, 0.3), fields={"stop": "steps"})


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    made = Engine(torch.device("cpu"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    digit_folder.write(folder, 40)
    return folder


def evaluation(folder: Path, plan: Plan = PLAN, most: int = 40) -> Evaluation:
    return Evaluation.of(plan, labelled(in_folder(folder), None, plan.models)[:most])


def carried_out(engine: Engine, whole: Evaluation, folder: Path) -> list[Row]:
    with Journal(folder, whole.about({})) as journal:
        whole.run(engine, journal, threading.Event())
        whole.write(journal)
        return whole.rows(journal)


@pytest.fixture(scope="module")
def rows(engine: Engine, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return carried_out(engine, evaluation(digits), tmp_path_factory.mktemp("out") / "a")


def test_clean_accuracy_is_that_of_a_plain_loop_to_the_picture(
    engine: Engine, digits: Path, rows: list[Row]
) -> None:
    net, card = engine.model("lenet"), models.card("lenet")
    right = {}
    for picture in in_folder(digits):
        x = card.preprocess(Image.open(picture.path or ""))
        with torch.no_grad():
            right[picture.file] = int(net(x[None]).argmax()) == int(picture.file[0])
    assert 0 < sum(right.values()) < len(right) == 40
    for row in rows:
        assert row.correct is right[row.file]
    for group in groups(rows):
        assert group.clean_accuracy is not None
        assert group.clean_accuracy.value == sum(right.values()) / 40


def test_a_row_is_what_a_single_run_finds(engine: Engine, digits: Path, rows: list[Row]) -> None:
    setups = evaluation(digits).setups
    chosen = [row for row in rows if row.epsilon][::31]
    assert len(chosen) > 4
    for row in chosen:
        (setup,) = [setup for setup in setups if setup.key(row.file) == row.key]
        token = engine.uploads.add(read_bytes(digits / row.file))
        run = engine.submit(replace(setup.recipe, image=token))
        assert list(engine.follow(run))[-1] == row.steps
        assert run.succeeded(row.steps or 0) is row.success
        assert run.top(len(run) - 1, 1)[0].label == row.final_label
        assert (run.queries, run.gradient_evaluations) == (row.queries, row.gradient_evaluations)
        for name in ("linf", "l2"):  # a shared batch differs in the last digits, and a sign step by its size
            assert run.figures(len(run) - 1)[name] == pytest.approx(getattr(row, name), rel=0.05)


def test_there_is_a_row_for_each_picture_attack_and_budget(digits: Path, rows: list[Row]) -> None:
    assert len({row.key for row in rows}) == len(rows) == 40 * 2 * 3
    clean = [row for row in rows if row.epsilon == 0]
    assert len(clean) == 80
    assert all((row.steps, row.queries, row.linf, row.success) == (0, 1, 0.0, False) for row in clean)
    for row in rows:
        assert row.error is None and row.linf is not None and row.linf <= (row.epsilon or 0) + 1e-6
        assert row.success is (row.final_label != row.clean_prediction)


def test_the_summary_counts_the_rows(rows: list[Row]) -> None:
    for group in groups(rows):
        own = [r for r in rows if (r.attack, r.epsilon) == (group.attack, group.epsilon)]
        fooled, right = [r for r in own if r.success], [r for r in own if r.correct]
        assert group.success is not None and group.success_of_correct is not None
        assert group.success.value == len(fooled) / 40
        assert group.success_of_correct.value == sum(bool(r.success) for r in right) / len(right)
        exact = stats.binomtest(len(fooled), 40).proportion_ci(0.95, "exact")
        assert (group.success.low, group.success.high) == (exact.low, exact.high)
        assert group.robust_accuracy is not None
        assert group.robust_accuracy.value == sum(not r.success for r in right) / 40
        assert (group.size is None) is not bool(fooled)
    fgsm, pgd = lines(groups(rows))
    falls = [group.robust_accuracy.value for group in pgd.groups if group.robust_accuracy]
    assert falls[0] > falls[1] >= falls[2] and fgsm.attack == "fgsm"


def test_the_files_hold_the_rows(engine: Engine, digits: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    whole = evaluation(digits, replace(PLAN, epsilons=(0.3,)), most=5)
    broken = Picture("3/broken.png", "3", tmp_path / "broken.png")
    (tmp_path / "broken.png").write_bytes(digit_folder.BROKEN)
    whole = replace(whole, pictures=[*whole.pictures, broken, Picture("coffee")])
    out = tmp_path / "out"
    rows = carried_out(engine, whole, out)
    assert [row.file for row in rows if row.error] == ["3/broken.png"] * 2 and len(rows) == 14
    read = list(csv.DictReader(io.StringIO((out / "rows.csv").read_text("utf-8"))))
    table = parquet.read_table(out / "rows.parquet").to_pylist()
    assert [Row(**row) for row in table] == rows and tuple(read[0]) == COLUMNS == tuple(table[0])
    for text, row in zip(read, rows, strict=True):
        assert text["success"] == {None: "", True: "true", False: "false"}[row.success]
        assert text["linf"] == ("" if row.linf is None else str(row.linf)) and text["error"] == (
            row.error or ""
        )
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    assert (summary["rows"], summary["of"]) == (14, 14) and summary["groups"][0]["failed"] == 1


def test_what_fools_is_written_and_fools_when_it_is_read_back(
    engine: Engine, digits: Path, tmp_path: Path
) -> None:
    rows = carried_out(engine, evaluation(digits, replace(PLAN, epsilons=(0.3,)), 6), tmp_path / "out")
    fooled = [row for row in rows if row.success]
    assert fooled and all((row.picture is not None) is row.success for row in rows)
    for row in fooled:
        token = engine.uploads.add(read_bytes(tmp_path / "out" / str(row.picture)))
        said = engine.classify("lenet", token)[0].label
        assert row.picture_fools is True and said != row.clean_prediction
        carried = engine.uploads.carried(token)
        assert carried is not None and carried.settings["attack"] == row.attack
    sheet = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert sheet.count('src="data:image/png;base64,') == len(rows)
    assert all(f'href="{row.picture}"' in sheet for row in fooled)
    assert not list((tmp_path / "out").rglob(".*.part"))


def test_a_sample_opens_in_the_page_by_its_recipe(engine: Engine, tmp_path: Path) -> None:
    plan = Plan(("photos",), ("fgsm",), epsilons=(0.03,), target="second")
    whole = Evaluation.of(plan, [Picture("coffee", "cup")], save=False)
    (row,) = carried_out(engine, whole, tmp_path / "out")
    second = engine.classify("photos", "coffee")[1].label
    assert row.target == second and row.label == "cup" and row.picture is None
    sheet = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "http://127.0.0.1:8501/playground?model=photos&amp;image=coffee&amp;attack=fgsm" in sheet


def test_what_was_broken_off_goes_on(engine: Engine, digits: Path, tmp_path: Path) -> None:
    whole, stop = evaluation(digits, most=4), threading.Event()
    with Journal(tmp_path / "out", whole.about({})) as journal:
        whole.run(engine, journal, stop, lambda _: stop.set(), at_once=2)
        begun = list(journal.rows)
    assert 0 < len(begun) < whole.total
    with (tmp_path / "out" / "rows.jsonl").open("ab") as file:
        file.write(b'{"file": "0/000.png", "mo')  # what a killed process was writing
    rows = carried_out(engine, whole, tmp_path / "out")
    assert len({row.key for row in rows}) == len(rows) == whole.total
    assert {row.key: row for row in rows} | {row.key: row for row in begun} == {row.key: row for row in rows}


def test_another_plan_in_the_same_folder_is_refused(engine: Engine, digits: Path, tmp_path: Path) -> None:
    whole = evaluation(digits, most=2)
    carried_out(engine, whole, tmp_path)
    other = evaluation(digits, replace(PLAN, epsilons=(0.1,)), most=2)
    with pytest.raises(BadSetting, match="begun with other epsilons"):
        Journal(tmp_path, other.about({}))
    with Journal(tmp_path, other.about({}), force=True) as anew:
        assert not anew.rows
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "thesis.txt").write_text("not ours")
    with pytest.raises(BadSetting, match="begun with other files"):
        Journal(tmp_path / "elsewhere", other.about({}))


def test_two_at_a_time_in_one_folder_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path, {}), pytest.raises(BadSetting, match="is going on"):
        Journal(tmp_path, {})
    Journal(tmp_path, {}).close()


def test_a_line_that_is_no_row_is_named(tmp_path: Path) -> None:
    Journal(tmp_path, {"a": 1}).close()
    (tmp_path / "rows.jsonl").write_text('{"fil": 1}\n')
    with pytest.raises(BadSetting, match="line 1 of"):
        Journal(tmp_path, {"a": 1})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": {"stepz": "1"}}, "“stepz”"),
        ({"attacks": ("pgd", "pgd")}, "once"),
        ({"epsilons": (2.0,)}, "epsilon"),
        ({"models": ("lenett",)}, "lenet"),
        ({"target": "unicorn"}, "unicorn"),
        ({"epsilons": tuple(k / 100 for k in range(40))}, "1 to 64"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_before_anything_is_done(
    change: dict[str, tuple[str, ...]], words: str
) -> None:
    with pytest.raises(FoolscopeError, match=words):
        Evaluation.of(replace(PLAN, **change), [Picture("seven")])  # type: ignore[arg-type]


def test_the_step_size_goes_with_the_budget_unless_it_is_given() -> None:
    sizes = {
        s.epsilon: s.recipe.params["step_size"]
        for s in Evaluation.of(PLAN, []).setups
        if s.recipe.attack == "pgd" and s.epsilon
    }
    assert sizes == {0.1: pytest.approx(0.05), 0.3: pytest.approx(0.15)}
    given = replace(PLAN, attacks=("pgd",), settings={"steps": "5", "step_size": "0.01"})
    assert {s.recipe.params["step_size"] for s in Evaluation.of(given, []).setups} == {0.01}


def test_pictures_leave_the_memory_of_the_engine(engine: Engine, digits: Path, tmp_path: Path) -> None:
    engine.uploads = type(engine.uploads)()
    stored = len(engine.store.all())
    carried_out(engine, evaluation(digits, most=6), tmp_path / "out")
    assert not engine.uploads._kept and not engine.uploads._bytes and len(engine.store.all()) == stored


def test_without_pyarrow_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert not tables.has_parquet()
    with pytest.raises(MissingExtra, match="pyarrow"):
        tables.table_parquet([])
