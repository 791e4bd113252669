"""Settings of attacks: their ranges, how they are written and read, and the table of them all."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import attacks
from attacks.__main__ import describe, main, table
from attacks.bim import BIM
from attacks.contract import Attack, Stop
from attacks.fgsm import FGSM
from attacks.pgd import PGD
from attacks.settings import Setting
from attacks.towards import TowardsClass
from errors import BadSetting
from tests.support.attack_contract import briefly

EVERY = [
    (kind.card.name, norm, each)
    for kind in attacks.registry().values()
    for norm in ("linf", "l2", "l1")
    for each in kind.settings(norm)
]
NAMES = [f"{name}-{norm}-{each.name}" for name, norm, each in EVERY]


def legal(each: Setting) -> st.SearchStrategy[Any]:
    """Return a strategy of the field's legal values."""
    if each.choices:
        return st.sampled_from(each.choices)
    if each.type == "bool":
        return st.booleans()
    low, high = each.low or 0, each.high or 0
    if each.type == "int":
        return st.integers(int(low), int(high))
    levels = st.integers(0, 255).map(lambda k: k / 255).filter(lambda v: low <= v <= high)
    return st.one_of(st.floats(low, high), levels, st.sampled_from([low, high, each.default]))


def setting_of(kind: type[Attack], name: str, norm: str | None = None) -> Setting:
    return next(each for each in kind.settings(norm) if each.name == name)


@briefly
@given(st.data())
def test_what_is_written_is_read_back_exactly(data: st.DataObject) -> None:
    _, _, each = data.draw(st.sampled_from(EVERY))
    value = data.draw(legal(each))
    assert each.parse(each.format(value)) == value
    assert each.check(value) == value


@briefly
@given(st.data(), st.text(max_size=12))
def test_any_text_is_a_value_or_one_sentence(data: st.DataObject, text: str) -> None:
    _, _, each = data.draw(st.sampled_from(EVERY))
    try:
        value = each.parse(text)
    except BadSetting as error:
        assert str(error).startswith(f"Expected {each.name} to be ")
    else:
        assert each.check(value) == value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epsilon", "8/255", 8 / 255),
        ("epsilon", " 0.03 ", 0.03),
        ("epsilon", "1", 1.0),
        ("step_size", "0.01/255", 0.01 / 255),
        ("step_size", "1e-3", 0.001),
        ("steps", "100", 100),
        ("steps", "1e3", 1000),
        ("norm", "l2", "l2"),
        ("random_start", "true", True),
        ("random_start", "False", False),
        ("random_start", "0", False),
    ],
)
def test_parse(name: str, text: str, value: object) -> None:
    parsed = setting_of(PGD, name).parse(text)
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("epsilon", "nan", "a number from 0 to 1"),
        ("epsilon", "inf", "a number from 0 to 1"),
        ("epsilon", "-3", "a number from 0 to 1"),
        ("epsilon", "8", r"a number from 0 to 1 \(such as 8/255\), got “8"),
        ("epsilon", "8/0", "a number from 0 to 1"),
        ("epsilon", "", "a number from 0 to 1"),
        ("epsilon", "eight", "got “eight”"),
        ("epsilon", "1/2/3", "got “1/2/3”"),
        ("epsilon", "9" * 5000, "a number from 0 to 1"),
        ("steps", "1e9", "a whole number from 0 to 10,000"),
        ("steps", "-3", "a whole number from 0 to 10,000"),
        ("steps", "nan", "a whole number from 0 to 10,000"),
        ("steps", "2.5", "a whole number from 0 to 10,000"),
        ("steps", "8/4", "a whole number from 0 to 10,000"),
        ("norm", "l7", "one of linf, l2, l1, got “l7”"),
        ("random_start", "maybe", "true or false, got “maybe”"),
    ],
)
def test_refusals_say_what_was_expected_and_what_came(name: str, text: str, expected: str) -> None:
    with pytest.raises(BadSetting, match=f"^Expected {name} to be .*{expected}") as caught:
        setting_of(PGD, name).parse(text)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    "values",
    [
        {"epsilon": -0.1},
        {"epsilon": 1.1},
        {"epsilon": float("nan")},
        {"epsilon": "0.1"},
        {"epsilon": True},
        {"epsilon": 10**400},
        {"steps": 2.5},
        {"steps": float("inf")},
        {"steps": True},
        {"steps": None},
        {"norm": "l0"},
        {"norm": None},
        {"norm": "l2", "epsilon": 1001},
        {"norm": "l2", "step_size": -1.0},
        {"random_start": 1},
    ],
    ids=str,
)
def test_an_attack_is_never_built_with_a_bad_value(values: dict[str, Any]) -> None:
    with pytest.raises(BadSetting, match="^Expected "):
        PGD(**values)


def test_numbers_become_the_fields_type() -> None:
    attack = PGD(epsilon=1, steps=7.0)  # type: ignore[arg-type]
    assert type(attack.epsilon) is float and type(attack.steps) is int


def test_ranges_and_defaults_go_with_the_norm() -> None:
    assert (PGD().epsilon, PGD().step_size) == (8 / 255, 1 / 255)
    assert (PGD(norm="l2").epsilon, PGD(norm="l2").step_size) == (3, 0.2)
    assert PGD(norm="l2", epsilon=40).epsilon == 40
    with pytest.raises(BadSetting, match="from 0 to 1 .*got “40”"):
        PGD(epsilon=40)
    flat, round_ = (setting_of(BIM, "epsilon", norm) for norm in ("linf", "l2"))
    assert (flat.unit, round_.unit) == ("level", "distance")
    assert flat.soft_high == 64 / 255 and flat.high == 1 and round_.high == 1000
    assert flat.by == round_.by and flat.by["l2"].default == round_.default
    assert setting_of(BIM, "epsilon", "l7") == setting_of(BIM, "epsilon") == flat


def test_texts_of_a_link() -> None:
    assert PGD.parse({"epsilon": "12", "norm": "l2"}) == {"epsilon": 12, "norm": "l2"}
    assert PGD(**PGD.parse({"steps": "5", "random_start": "false"})).updates() == 5
    with pytest.raises(BadSetting, match="Expected epsilon"):
        PGD.parse({"epsilon": "12"})
    with pytest.raises(BadSetting, match="norm to be one of"):
        PGD.parse({"epsilon": "0.1", "norm": "l7"})
    with pytest.raises(BadSetting, match="FGSM has no setting “steps”; it has: epsilon"):
        FGSM.parse({"steps": "5"})


def test_how_values_are_written() -> None:
    epsilon, steps = setting_of(PGD, "epsilon"), setting_of(PGD, "steps")
    assert [epsilon.format(v) for v in (8 / 255, 0.25 / 255, 0.03, 0.0)] == [
        "8/255",
        "0.25/255",
        "0.03",
        "0",
    ]
    assert setting_of(PGD, "epsilon", "l2").format(3.0) == "3" and steps.format(40) == "40"
    assert setting_of(PGD, "random_start").format(False) == "false"
    assert setting_of(TowardsClass, "step_size").format(0.01 / 255) == "0.01/255"


@pytest.mark.parametrize("rule", ["steps", "success", "probability", "row"])
def test_stop_rules(rule: str) -> None:
    assert Stop(rule).rule == rule
    for bad in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(BadSetting, match="between 0 and 1"):
            Stop(rule, bad)
    with pytest.raises(BadSetting, match="steps, success, probability or row"):
        Stop("never")


def test_the_table_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints what `describe` says, and that is the attacks' own fields."""
    assert main(["--json"]) == 0
    printed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert list(printed) == list(attacks.registry())
    for name, kind in attacks.registry().items():
        assert printed[name] == json.loads(json.dumps(describe(kind)))
        assert printed[name]["url"] == kind.card.url
        assert [each["name"] for each in printed[name]["settings"]] == [f.name for f in fields(kind)]
    epsilon = printed["pgd"]["settings"][0]
    assert epsilon["by"]["l2"]["high"] == 1000 and epsilon["default"] == 8 / 255 and epsilon["main"]


def test_the_table_as_text() -> None:
    text = table(PGD)
    assert text.startswith("pgd: PGD (2017, white-box, budget)")
    assert "linf: 8/255 (0 to 1); l2: 3 (0 to 1,000)" in text and "random_start  false" in text
