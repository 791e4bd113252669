"""The page in another site's frame, behind a proxy and over bare http."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from app.front import Front
from components.embedding import secure
from errors import BadSetting
from settings import SAMPLES
from tests.support import small_model
from tests.support.browser import Playground, until
from tests.support.file_server import Server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette would rather have another HTTP library
    from starlette.testclient import TestClient

HTML = "<!doctype html><html><head><title>x</title></head><body>é</body></html>"


def test_a_course_page_of_another_site_shows_it_takes_a_photo_and_follows_a_run(
    visitor: Callable[..., Playground], file_server: Server
) -> None:
    """Two hosts, so that the frame is a third party to the page around it, and gets no Lax cookie."""
    window = visitor()
    address = window.site.url.replace("127.0.0.1", "localhost")
    frame_address = f"{address}/?embed=1&image=coffee&attack=bim&steps=4&stop=steps"
    frame = f'<iframe src="{frame_address}" allow="camera" style="width: 100%; height: 90vh"></iframe>'
    file_server.content = f"<!doctype html><title>A course</title><h1>A course</h1>{frame}".encode()
    window.page.goto(file_server.base)
    before = window.page.evaluate("history.length")
    inside = window.page.frame_locator("iframe")
    player = inside.locator("[data-test=player]")
    expect(player).to_be_visible()
    expect(inside.get_by_role("button", name="Run", exact=True).first).to_be_visible()
    expect(inside.get_by_role("link", name="Compare")).to_have_count(0)

    inside.locator(".st-key-upload input[type=file]").set_input_files(SAMPLES / "rocket.jpg")
    link = inside.get_by_role("link", name="Open in a tab")
    expect(link).to_have_attribute("href", re.compile("image=upload%3A"))
    assert "embed" not in parse_qs(urlsplit(link.get_attribute("href") or "").query)
    inside.locator(".st-key-start button").click()
    expect(player).to_have_attribute("data-status", "finished")
    expect(player).to_have_attribute("data-count", "5")
    inner = inside.locator("body")
    until(lambda: "run=" in str(inner.evaluate("() => location.href")), "the run in the frame's address")
    assert window.page.evaluate("history.length") == before, "Back would no longer leave the course's page"


@pytest.fixture
def client() -> TestClient:
    """Return a client of small answers behind `Front`."""
    routes = [
        Route("/", lambda _: HTMLResponse(HTML, headers={"etag": "1"})),
        Route("/text", lambda _: PlainTextResponse(HTML)),
        Route(
            "/file", lambda _: HTMLResponse(HTML, headers={"content-disposition": "attachment; filename=x"})
        ),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Front)]))


def test_a_page_gets_the_script_first_and_nothing_else_is_touched(client: TestClient) -> None:
    page = client.get("/", headers={"host": 'a"b.example'})
    assert page.text.startswith("<!doctype html><html><head><script data-host=") and "é" in page.text
    assert page.text.endswith(HTML.partition("<head>")[2])
    assert 'data-host="a&quot;b.example"' in page.text and "etag" not in page.headers
    assert int(page.headers["content-length"]) == len(page.content)
    assert client.get("/text").text == HTML
    assert client.get("/file").text == HTML  # a report, which is opened far from its server


def test_who_may_show_the_page_in_a_frame_is_a_setting(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "content-security-policy" not in client.get("/").headers
    monkeypatch.setenv("FOOLSCOPE_FRAME_ANCESTORS", "'self'  https://courses.example.org")
    policy = client.get("/").headers["content-security-policy"]
    assert policy == "frame-ancestors 'self' https://courses.example.org"
    monkeypatch.setenv("FOOLSCOPE_FRAME_ANCESTORS", "'self'; script-src 'none'")
    with pytest.raises(BadSetting, match="FOOLSCOPE_FRAME_ANCESTORS"):
        client.get("/")


def test_a_proxy_that_drops_the_host_is_named_on_the_page(playground: Playground) -> None:
    """The page as such a proxy hands it on: the server's answer, at another address."""
    server = playground.site.url
    page = playground.page
    page.route(
        "http://school.example/*",
        lambda route: route.fulfill(response=page.request.get(f"{server}/")),
    )
    page.goto("http://school.example/", wait_until="commit")
    note = page.locator("[data-test=proxy]")
    expect(note).to_contain_text("header Host")
    expect(note).to_contain_text(urlsplit(server).netloc)
    playground.open()
    expect(note).to_have_count(0)
    playground.complaints.clear()  # what the first page could not load


@pytest.mark.parametrize(
    ("url", "given"),
    [
        ("https://school.example/foolscope", True),
        ("http://localhost:8501", True),
        ("http://127.0.0.1:8501/compare", True),
        ("http://[::1]:8501", True),
        ("http://192.168.178.20:8501", False),
        ("http://teacher.local:8501", False),
        ("http://localhost.example", False),
    ],
)
def test_a_camera_needs_https_or_the_own_machine(
    url: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not given: the switch gives way to a sentence, and files can be brought all the same."""
    assert secure(url) is given
    monkeypatch.setattr(ContextProxy, "url", property(lambda _: url))
    with small_model.behind_pages(monkeypatch):
        app = AppTest.from_function(_playground, default_timeout=120)
        for name, value in {"model": "small", "image": "cat"}.items():
            app.query_params[name] = value
        app.run()
    assert not app.exception
    told: list[Any] = [caption.value for caption in app.caption if "https" in caption.value]
    assert [toggle.key for toggle in app.toggle].count("use_camera") == given
    assert len(told) == (not given) and all(url in sentence for sentence in told)


def _playground() -> None:
    from app.playground.page import render

    render()
