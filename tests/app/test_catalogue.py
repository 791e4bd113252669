"""The card of every attack says what its code says; the page shows the one that the address names."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

import attacks
import models
from app.catalogue import attack_card
from bench.parity.__main__ import compared, merged, table
from engine.layouts import Choice, Choices, Rejected, key_of
from models.layouts import Layout
from tests.components.test_translations import asked, foreign, shown
from tests.support import small_model

NAMES = sorted(attacks.registry())


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_complete(name):
    kind = attacks.get(name)
    assert kind.card.rule and kind.card.use.endswith(".") and kind.card.summary.endswith(".")
    assert f"class {kind.__name__}" in attack_card.code(name)
    settings = attack_card.settings_table(name)
    assert all(f"`{each.name}`" in settings and each.help in settings for each in kind.settings())


def test_agreements_are_those_that_were_measured():
    found = attack_card.agreements()
    assert set(found) == set(compared()) and set(found) <= set(NAMES)
    for name, rows in found.items():
        assert rows, f"{name} was compared with nothing"
        for row in rows:
            assert row.library.split()[0] in (
                "foolbox",
                "adv_lib",
                "torchattacks",
                "ART",
                "scipy",
                "Foolscope",
            ), row
            if row.verdict == "equal":
                assert isinstance(row.difference, int | float) and row.difference <= 1e-6, (name, row)
            assert row.what in attack_card.proof_table(name)
            assert f"**{row.library}**" in attack_card.proof_lines(name)


def test_rows_of_a_library_that_is_not_here_stay():
    old = [{"library": "adv_lib 1", "what": "a"}, {"library": "foolbox 3", "what": "old"}]
    new = [{"library": "foolbox 4", "what": "new"}]
    assert merged(old, new) == [new[0], old[0]]
    assert "DeepFool" in table({"deepfool": [{**new[0], "difference": 0.5, "verdict": "differs"}]})


def page():
    from app.catalogue.page import render

    render()


@pytest.fixture
def engine(monkeypatch):
    with small_model.behind_pages(monkeypatch) as made:
        yield made


def visit(**query):
    app = AppTest.from_function(page, default_timeout=60)
    app.session_state["lang"] = query.pop("lang", "en")
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def test_the_address_names_the_card_and_the_list_changes_it(engine):
    app = visit(card="deepfool")
    assert app.header[0].value == "DeepFool" and app.latex and "class DeepFool" in app.code[0].value
    next(button for button in app.button if button.key == "card.fgsm").click().run()
    assert app.header[0].value == "FGSM"
    named = app.query_params["card"]
    assert (named[0] if isinstance(named, list) else named) == "fgsm"
    assert visit(card="nonsense").header[0].value == "PGD"


PAPER = re.compile(r"\[[^\]]*\]\(http\S*\)")
LIBRARIES = "foolbox|adv_lib|torchattacks|ART|scipy|Foolscope"
RECORD = re.compile(rf"(；此外：|^- \*\*({LIBRARIES})[^*]*\*\*：(?!在)|^\| ({LIBRARIES})).*", re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_card_speaks_chinese(engine, name):
    app = visit(card=name, lang="zh")
    page = RECORD.sub("", PAPER.sub("", f"{shown(app)}\n{asked(app)}"))
    assert foreign(page) == [] and attacks.get(name).card.summary not in page


@pytest.mark.parametrize("part", ["models", "samples", "experiments"])
def test_a_table_speaks_chinese(engine, part):
    said = PAPER.sub("", shown(visit(part=part, lang="zh")))
    rows = [line.split(" | ") for line in said.splitlines()]
    skipped = {"samples": (1, 3)}.get(part, ())  # who made a picture, and where it is from, are names
    assert foreign("\n".join(c for row in rows for i, c in enumerate(row) if i not in skipped)) == []


def test_networks_and_samples_are_listed(engine):
    shown = visit(part="models", network="resnet50")
    assert shown.header[0].value == "ResNet-50" and not shown.exception
    said = " ".join(block.value for block in shown.markdown)
    assert "`resnet50`" in said and "25,557,032" in said and "mean 0.485" in said and "BSD" in said
    assert "`mobilenet_v2`" in said  # in the table of all
    assert shown.button(key="network.add").label == "Add a network"


@pytest.mark.parametrize(
    ("lang", "sentence"),
    [
        (
            "en",
            "it runs as plain memory with folded batch norm: as channels-last memory with folded batch norm, "
            "its gradients there are not those of the CPU (they differ by 102% of their length).",
        ),
        ("zh", "那里的梯度与 CPU 的不同（相差其长度的 102%）。"),
    ],
)
def test_a_layout_with_wrong_gradients_is_said_on_the_card(engine, tmp_path, lang, sentence):
    engine.pool.choices = Choices(tmp_path / "layouts.json")
    card = models.card("resnet50")
    rejected = Rejected(Layout(True, True), 1.02)
    engine.pool.choices.remember(Choice(*key_of(card, engine.device), Layout(True, False), (), (rejected,)))
    (info,) = visit(part="models", network="resnet50", lang=lang).info
    assert sentence in info.value
    assert not visit(part="models", network="resnet18", lang=lang).info


def test_a_network_that_is_not_there_is_said(engine):
    shown = visit(part="models", network="resnet5000")
    assert "resnet50" in shown.error[0].value and shown.header[0].value == "EfficientNet-Lite0"


@pytest.mark.parametrize("why", ["beyond this machine", "the owner says no"])
def test_networks_are_added_where_that_is_allowed_alone(engine, monkeypatch, why):
    if why == "the owner says no":
        monkeypatch.setenv("FOOLSCOPE_ADD_MODELS", "0")
    else:
        address = {"server.address": "0.0.0.0"}
        monkeypatch.setattr("app.access.st.get_option", lambda name: address.get(name, ""))
    shown = visit(part="models", network="add")
    assert not [button for button in shown.button if button.key == "network.add"]
    assert shown.header[0].value == "EfficientNet-Lite0" and shown.error


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"added.name": "mine"}, "Expected the name of a network"),
        ({"added.name": "../x", "added.rest.torchvision": "resnet18"}, "Expected a name of at most 48"),
        ({"added.name": "lenet", "added.rest.torchvision": "resnet18"}, "comes with Foolscope"),
        ({"added.name": "mine", "added.rest.torchvision": "resnet18", "added.input": "x"}, "side in pixels"),
        (
            {"added.name": "mine", "added.rest.torchvision": "resnet18", "added.std": "a"},
            "numbers with commas",
        ),
    ],
)
def test_a_form_that_cannot_be_is_refused_in_a_sentence(engine, fields, sentence):
    shown = visit(part="models", network="add")
    shown.selectbox(key="added.kind").set_value("torchvision")
    for key, value in fields.items():
        shown.text_input(key=key).set_value(value)
    shown.button(key="added.send").click().run()
    assert sentence in shown.error[0].value and not shown.exception
    assert shown.text_input(key="added.name").value == fields["added.name"]  # nothing typed is lost


def test_samples_are_listed(engine):
    assert "Public domain" in visit(part="samples").markdown[0].value
