"""What a teacher does on the page, and what is refused there, with a real database behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import lessons
from app.teach import broadcasting, invitation
from engine.rooms import bets
from engine.rooms.competition import Competition
from engine.rooms.judge import Judge
from engine.rooms.records import Opened
from engine.rooms.rooms import Rooms
from errors import BadSetting
from tests.components.test_translations import asked, foreign, shown
from tests.support import small_model


@pytest.fixture
def rooms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Rooms]:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    with small_model.behind_pages(monkeypatch) as engine:
        known = Rooms(engine.history.database)
        for module in ("app.service", "app.rooms.betting"):
            monkeypatch.setattr(f"{module}.rooms", lambda: known)
        monkeypatch.setattr("app.service.judge", lambda: Judge(engine, Competition(known)))
        yield known


def page() -> None:
    from app.teach.page import render

    render()


def visit(opened: Opened | None = None, lang: str = "en") -> AppTest:
    """Open the page of somebody who has the key of a room."""
    app = AppTest.from_function(page, default_timeout=60)
    app.session_state["lang"] = lang
    if opened:
        app.session_state["teach.keys"] = {opened.room.code: opened.key}
        app.query_params["room"] = opened.room.code
    return drawn(app)


def drawn(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def refusals(app: AppTest) -> list[str]:
    return [error.value for error in app.error]


def test_one_press_opens_a_room_and_shows_its_key(rooms: Rooms) -> None:
    app = visit()
    app.button(key="teach.open").click()
    drawn(app)
    code = str(app.query_params["room"])
    key = app.code[0].value
    assert rooms.teacher(code, key).code == code
    assert key not in "".join(app.query_params)


def test_everybody_is_asked_to_run_what_is_chosen(rooms: Rooms) -> None:
    opened = rooms.open()
    app = visit(opened)
    app.selectbox(key=f"teach.ask.image.{opened.room.code}").select("cat")
    app.text_input(key=f"teach.ask.words.{opened.room.code}").input("everyone, now")
    drawn(app)
    app.number_input(key=f"teach.ask.epsilon.pgd.{opened.room.code}").set_value(1.0)
    app.button(key="teach.ask").click()
    drawn(app)
    broadcast = rooms.room(opened.room.code).broadcast
    assert broadcast is not None and broadcast.words == "everyone, now"
    assert broadcast.query["image"] == "cat" and broadcast.query["epsilon"] == "1/255"
    app.button(key="teach.take_back").click()
    drawn(app)
    assert rooms.room(opened.room.code).broadcast is None


def test_a_link_that_the_room_does_not_allow_is_refused(rooms: Rooms) -> None:
    opened = rooms.open()
    app = visit(opened)
    link = "http://host/?model=photos&image=cat&attack=square&lang=zh&run=abc"
    app.text_input(key=f"teach.ask.link.{opened.room.code}").input(link)
    app.button(key="teach.ask").click()
    drawn(app)
    assert "does not allow the attack “square”" in refusals(app)[0]
    assert rooms.room(opened.room.code).broadcast is None
    assert broadcasting.parsed(link) == {"model": "photos", "image": "cat", "attack": "square"}
    with pytest.raises(BadSetting, match="link of the playground"):
        broadcasting.parsed("http://host/teach")


def test_what_is_allowed_changes_at_once_and_never_to_nothing(rooms: Rooms) -> None:
    opened = rooms.open()
    code, place = opened.room.code, "teach.allowed.{}.{}".format
    app = visit(opened)
    app.multiselect(key=place("attacks", code)).set_value(["fgsm"])
    drawn(app)
    budget = app.number_input(key=place("epsilon", code))
    assert budget.value is None and budget.placeholder == "any" and not rooms.room(code).allowed.epsilon
    budget.set_value(4.0)
    drawn(app)
    app.toggle(key=place("uploads", code)).set_value(False)
    drawn(app)
    allowed = rooms.room(code).allowed
    assert allowed.attacks == ("fgsm",) and allowed.epsilon == pytest.approx(4 / 255) and not allowed.uploads
    app.number_input(key=place("epsilon", code)).set_value(None)
    drawn(app)
    assert rooms.room(code).allowed.epsilon == 0
    app.number_input(key=place("epsilon", code)).set_value(4.0)
    drawn(app)
    app.multiselect(key=place("models", code)).set_value([])
    drawn(app)
    assert "at least one network" in refusals(app)[0]
    assert rooms.room(code).allowed == allowed
    assert app.multiselect(key=place("models", code)).value == list(allowed.models)


def test_who_is_sent_out_is_no_longer_in(rooms: Rooms) -> None:
    opened = rooms.open()
    anna, ben = rooms.join(opened.room.code, "Anna").member, rooms.join(opened.room.code, "Ben").member
    app = visit(opened)
    app.selectbox(key=f"teach.out.{opened.room.code}").select(anna.id)
    drawn(app)
    app.button(key="teach.send_out").click()
    drawn(app)
    assert rooms.members(opened.room.code) == [ben]


def test_a_question_is_asked_revealed_and_ended(rooms: Rooms) -> None:
    opened = rooms.open()
    code, name = opened.room.code, "templates"
    app = visit(opened)
    app.selectbox(key=f"teach.questions.name.{code}").select(name)
    app.button(key="teach.questions.ask").click()
    drawn(app)
    assert rooms.room(code).question == name
    bets.bet(rooms, rooms.join(code, "Anna").member, bets.Question(name, 2), 1)
    app.button(key="teach.questions.reveal").click()
    drawn(app)
    assert rooms.room(code).revealed[name].right == lessons.answer(name).number
    assert any(markdown.value.count("· 1") == 1 for markdown in app.markdown)
    app.button(key="teach.questions.end").click()
    drawn(app)
    assert rooms.room(code).question == ""


def test_challenges_are_set_closed_and_removed(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.rooms.challenges.contract.Kind.check", lambda self, first: None)
    monkeypatch.setattr("engine.engine.Engine.classify", lambda self, model, image: [None])
    opened = rooms.open()
    code, own = opened.room.code, "teach.challenges.own.{}.{}".format
    app = visit(opened)
    app.selectbox(key=own("model", code)).select("photos")
    drawn(app)
    app.selectbox(key=own("image", code)).select("cat")
    app.text_input(key=f"teach.challenges.title.{code}").input("Our own")
    drawn(app)
    app.button(key="teach.challenges.set_own").click()
    drawn(app)
    (challenge,) = rooms.room(code).challenges
    assert (challenge.title, challenge.settings["image"], challenge.open) == ("Our own", "cat", True)
    app.toggle(key=f"teach.challenges.open.{challenge.id}").set_value(False)
    drawn(app)
    assert not rooms.room(code).challenges[0].open
    app.button(key=f"teach.challenges.remove.{challenge.id}").click()
    drawn(app)
    assert rooms.room(code).challenges == ()


def test_an_address_that_no_phone_reaches_is_said(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = rooms.open()
    monkeypatch.setattr(invitation, "origin", lambda: "http://127.0.0.1:8501")
    assert "make room" in visit(opened).warning[0].value
    monkeypatch.setattr(invitation, "origin", lambda: "https://class.example.org")
    assert not visit(opened).warning


def test_a_room_that_has_ended_leads_back_to_the_door(rooms: Rooms) -> None:
    opened = rooms.open()
    app = visit(opened)
    rooms.end(opened.room.code)
    assert not drawn(app).button(key="teach.open").value
    assert refusals(app) == []


def test_the_page_is_in_chinese(rooms: Rooms) -> None:
    opened = rooms.open()
    rooms.join(opened.room.code, "安娜")
    for app in (visit(lang="zh"), visit(opened, lang="zh")):
        controls = [line for line in asked(app).splitlines() if " · " not in line]  # other words for a class
        assert foreign(shown(app)) == [] and foreign("\n".join(controls)) == []
