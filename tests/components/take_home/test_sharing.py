"""The part "Show others" of the panel: its choices, its refusals, and one download in a real browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from attacks.contract import Stop
from engine.engine import Engine
from engine.recipe import Recipe
from engine.run import Run
from engine.sharing import files
from tests.support import small_model

RECIPE = Recipe("small", "cat", "bim", {"steps": 3}, stop=Stop("steps"))
PAGE = """
import streamlit as st
from app import service
from components.take_home import sharing
run = service.engine().run(st.session_state.run)
from components.i18n.text import told
from errors import FoolscopeError
try:
    sharing.render(service.engine(), "/foolscope", run, "here")
except FoolscopeError as error:
    st.error(told(error))
"""


@pytest.fixture
def engine(monkeypatch) -> Iterator[Engine]:
    with small_model.behind_pages(monkeypatch) as made:
        yield made


def panel(run: str, choice: str, lang: str = "en") -> AppTest:
    app = AppTest.from_string(PAGE, default_timeout=60)
    for name, value in {"run": run, "lang": lang, "here.as": choice}.items():
        app.session_state[name] = value
    return app.run()


@pytest.fixture
def shipped() -> str:
    return "shipped-hundred"


def test_nothing_is_made_before_it_is_asked_for(engine, shipped, monkeypatch):
    asked: list[str] = []

    def make(run: Run, name: str, *_: object) -> bytes:
        asked.append(name)
        return b""

    monkeypatch.setattr(files, "made", make)
    offered = []
    for choice in ("Animation", "Report", "Code", "Data", "Link"):
        app = panel(shipped, choice)
        assert not app.exception and not app.error
        offered += [button.proto.label for button in app.get("download_button")]
    assert len(offered) == len(set(offered)) == 8 and asked == []


def test_the_link_holds_the_recipe_and_the_run(engine, shipped):
    app = panel(shipped, "Link", "zh")
    query = parse_qs(urlsplit(app.code[0].value).query)
    assert query["run"] == [shipped] and query["target"] == ["vulture"] and query["lang"] == ["zh"]
    assert "data:image/svg+xml;base64," in app.get("html")[0].proto.body


def test_what_there_is_no_code_for_is_said_in_the_readers_language(engine):
    run = engine.submit(RECIPE)
    assert list(engine.follow(run))
    app = panel(run.id, "Code", "zh")
    assert not app.get("download_button") and "只随本程序提供" in app.info[0].value


def test_a_failed_run_is_one_sentence(engine):
    run = engine.submit(RECIPE, paused=True)
    run.set_status("failed", "failed", "The device has no memory left.")
    app = panel(run.id, "Report")
    assert [error.value for error in app.error] == [
        "This run failed, so there is nothing to show of it: The device has no memory left."
    ]
    assert not app.get("button_group")


def test_an_animation_is_downloaded_and_opens(playground, site, shipped):
    playground.open(f"?run={shipped}")
    part = playground.page.locator(".st-key-take_home_playground")
    part.get_by_text("Show others").click()
    part.get_by_text("For a chat").click()
    expect(part.get_by_text("480 x 472 pixels")).to_be_visible()
    with playground.page.expect_download() as caught:
        part.get_by_role("button", name="Animation").last.click()
    content = caught.value.path().read_bytes()
    assert caught.value.suggested_filename == "foolscope-giant-panda-vulture-animation-chat.webp"
    with Image.open(io.BytesIO(content)) as image:
        assert isinstance(image, WebPImageFile) and image.n_frames == 40 and image.size == (480, 472)
    part.get_by_text("Link", exact=True).click()
    assert site.url in (part.locator("[data-testid=stCode]").text_content() or "")
