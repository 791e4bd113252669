"""The page of one's own runs, and the cookie by which it knows whose they are."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable
from urllib.parse import urljoin

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from streamlit.testing.v1 import AppTest

from app.my_runs import cards
from app.owner_cookie import OwnerCookie
from app.routes import routes
from attacks.contract import Stop
from bench.site import Site
from components import owner
from components.live.protocol import WHICH
from engine.engine import Engine
from engine.recipe import Recipe
from engine.run import Run
from errors import HistoryFailed
from tests.components.test_translations import asked, foreign, shown
from tests.support import small_model
from tests.support.browser import Playground, until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

RECIPE = Recipe("small", "cat", "bim", {"steps": 5, "step_size": 1 / 255}, target=2, stop=Stop("steps"))
PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def engine(monkeypatch, tmp_path):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    with small_model.behind_pages(monkeypatch) as made:
        yield made


@pytest.fixture
def me(monkeypatch) -> str:
    """Let the page belong to a browser; return the owner of its runs."""
    cookie = "c" * 43

    class Context:
        cookies = type("Cookies", (), {"to_dict": lambda self: {owner.COOKIE: cookie}})()
        timezone, locale = "Asia/Shanghai", "en-GB"

    monkeypatch.setattr("streamlit.context", Context())
    return hashlib.sha256(cookie.encode()).hexdigest()


def page():
    from app.my_runs.page import render

    render()


def visit(lang: str = "en") -> AppTest:
    app = AppTest.from_function(page, default_timeout=60)
    app.session_state["lang"] = lang
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def done(engine: Engine, recipe: Recipe, mine: str) -> Run:
    run = engine.submit(recipe, owner=mine)
    *_, _ = engine.follow(run)
    until(lambda: engine.history.going_on(run.id) is None, "the run to be written")
    return run


def bodies(app: AppTest) -> str:
    return "\n".join(each.proto.body for each in app.get("html"))


def press(app: AppTest, key: str) -> AppTest:
    next(button for button in app.button if button.key == key).click().run()
    assert not app.exception
    return app


def test_a_browser_without_cookies_is_told(engine):
    app = visit()
    assert "Your browser sends no cookie" in app.info[0].value and not app.checkbox


def test_nothing_there_says_what_will_be(engine, me):
    app = visit()
    assert "Nothing here yet. Every run that you start" in shown(app) and 'href="./"' in bodies(app)
    assert "runs.sqlite, until 90 days after they ended" in shown(app)


def test_runs_are_listed_renamed_compared_and_deleted(engine, me):
    first, second = done(engine, RECIPE, me), done(engine, RECIPE, me)
    done(engine, RECIPE, "somebody else's")
    app = visit()
    assert re.findall(r"[?&;]run=([\w-]+)", bodies(app)) == [second.id, first.id]
    assert bodies(app).count("data:image/png") == 4 and "Small" in bodies(app) and "5 steps" in bodies(app)
    assert first.sentence() in bodies(app)
    assert cards._share(0.996) == "> 99 %" and cards._share(0.42) == "42 %"
    app.text_input(key=f"my_runs.name.{first.id}").input("<b>mine</b>").run()
    assert "&lt;b&gt;mine&lt;/b&gt;" in bodies(app) and engine.own_runs(me, 5)[1].name == "<b>mine</b>"
    assert "Compare these two" not in bodies(app)
    for run in (first, second):
        app.checkbox(key=f"my_runs.tick.{run.id}").check().run()
    assert f"./compare?mode=race&amp;runs={second.id}%2C{first.id}" in bodies(app)
    press(app, f"my_runs.delete.{second.id}")
    assert [record.id for record in engine.own_runs(me, 5)] == [first.id]
    press(app, "my_runs.delete_all")
    assert engine.own_runs(me, 5) == [] and "Nothing here yet" in shown(app)
    assert len(engine.own_runs("somebody else's", 5)) == 1


def test_the_page_shows_some_and_then_more(engine, me, monkeypatch):
    monkeypatch.setattr("app.my_runs.page.SHOWN", 2)
    for _ in range(3):
        done(engine, RECIPE, me)
    app = visit()
    assert len(app.checkbox) == 2
    assert len(press(app, "my_runs.more").checkbox) == 3


def test_the_page_speaks_chinese(engine, me):
    done(engine, RECIPE, me)
    app = visit("zh")
    assert foreign(bodies(app)) == [] and foreign(asked(app)) == []
    assert "我的运行" in shown(app) and "目标：" in bodies(app)


def test_what_is_wrong_with_the_database_is_said_and_the_page_goes_on(engine, me, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_DATABASE", "sqlite:////proc/nowhere/runs.sqlite")
    with pytest.raises(HistoryFailed):
        engine.own_runs(me, 5)
    app = visit()
    assert len(app.warning) == 1 and app.warning[0].value.startswith("Expected ")
    monkeypatch.delenv("FOOLSCOPE_DATABASE")
    assert not visit().warning


def start():
    from app import service
    from app.playground.session import Session
    from components.lesson import live_run

    session = Session.current(service.engine())
    session.start()
    live_run.begin(service.engine(), session.recipe, "lesson")


def test_pages_start_runs_for_their_browser(engine, me):
    app = AppTest.from_function(start, default_timeout=60)
    app.session_state["lang"] = "en"
    app.run()
    assert not app.exception
    until(lambda: len(engine.own_runs(me, 5)) == 2, "the runs of the playground and of a lesson")


def test_a_link_to_a_run_works_after_a_restart(monkeypatch, tmp_path):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    answers, run = [], ""
    for start in (True, False):
        with (
            small_model.engine(small_model.Gate()) as engine,
            TestClient(Starlette(routes=routes())) as client,
        ):
            monkeypatch.setattr("app.access.engine", lambda engine=engine: engine)
            run = done(engine, RECIPE, "me").id if start else run
            at = f"/foolscope/runs/{run}"
            facts, step = client.get(at).json(), client.get(f"{at}/steps/5").json()
            pictures = [client.get(f"{at}/steps/5/{which}.png").content for which in WHICH]
            answers.append((facts, step, pictures, client.get(f"{at}/rows").json()))
    before, after = answers
    assert before[0].pop("count") == after[0].pop("count") == 6
    assert before == after and all(picture.startswith(b"\x89PNG") for picture in after[2])


@pytest.fixture
def client():
    async def answer(request: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    middleware = [Middleware(OwnerCookie)]
    with TestClient(Starlette(routes=[Route("/", answer)], middleware=middleware)) as made:
        yield made


def test_the_cookie_comes_with_a_page_and_stays_the_same(client):
    first = client.get("/", headers=PAGE)
    set_cookie = first.headers["set-cookie"]
    value = first.cookies[owner.COOKIE]
    assert owner.VALID.fullmatch(value) and "HttpOnly" in set_cookie and "SameSite=lax" in set_cookie
    assert "Cookie" in first.headers["vary"] and "Secure" not in set_cookie
    assert client.get("/", headers=PAGE).cookies[owner.COOKIE] == value
    client.cookies.set(owner.COOKIE, "guess")
    assert owner.VALID.fullmatch(client.get("/", headers=PAGE).cookies[owner.COOKIE])
    client.cookies.clear()
    assert client.get("/", headers=PAGE).cookies[owner.COOKIE] != value
    behind_a_proxy = client.get("/", headers={**PAGE, "X-Forwarded-Proto": "https"})
    assert "Secure" in behind_a_proxy.headers["set-cookie"]
    assert "set-cookie" not in client.get("/", headers={"Accept": "image/png"}).headers


def test_a_browser_finds_its_runs_again_and_no_other_does(
    playground: Playground, contexts: Callable[..., BrowserContext], site: Site
) -> None:
    """The whole way: runs in the playground, the list, which says by itself that one is over, a name, the run
    opened again, a second browser."""
    playground.open("?model=lenet&image=seven&attack=bim&steps=5&stop=steps")
    run = playground.run()
    playground.reaches("finished")
    playground.open("?model=lenet&image=seven&attack=bim&steps=10000&stop=steps")
    going = playground.run()
    page = playground.page
    page.goto(f"{site.url}/my_runs")
    the_list_says_by_itself_that_a_run_is_over(page, going)
    card = page.locator(f".st-key-my_run_{run}")
    expect(card).to_contain_text("All 5 steps are done")
    card.locator("[data-testid=stPopover] button").click()
    page.get_by_label("Name").fill("my seven")
    page.get_by_label("Name").press("Enter")
    expect(card.locator("strong")).to_have_text("my seven")
    page.reload()
    expect(card.locator("strong")).to_have_text("my seven")
    stranger = contexts(locale="en-GB").new_page()  # of another browser: its cookies are its own
    stranger.goto(f"{site.url}/my_runs")
    expect(stranger.get_by_text("Nothing here yet.")).to_be_visible()
    stranger.close()
    card.locator("a.own-run").click()
    expect(playground.player).to_have_attribute("data-run", run)
    assert owner.COOKIE not in page.evaluate("document.cookie")


def the_list_says_by_itself_that_a_run_is_over(page: Page, run: str) -> None:
    card = page.locator(f".st-key-my_run_{run}")
    expect(card).to_contain_text("Running")
    cancel = urljoin(page.url, f"foolscope/runs/{run}/cancel")
    assert page.request.post(cancel).ok
    expect(card).to_contain_text("by hand")
    expect(card).not_to_contain_text("Running")
