"""A student's page: what it asks the server, and the page itself on a phone held upright."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import urllib.request
import warnings
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Locator, Request, ViewportSize, WebSocketRoute, expect
from starlette.applications import Starlette

from app.rooms.limits import Limiter
from app.routes import routes
from bench.site import Site, free_port
from tests.app.test_accessibility import CONTRAST, RUN, WCAG
from tests.support import small_model
from tests.support.browser import Playground, Visitor, until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

ROOMS = "/foolscope/rooms"
HANDHELD: ViewportSize = {"width": 360, "height": 640}
ALLOWED = {"models": ["small"], "attacks": ["bim", "fgsm"], "images": ["panda", "cat"], "epsilon": 4 / 255}
QUERY = {"model": "small", "image": "cat", "attack": "bim", "epsilon": "4/255", "steps": "12"}


@pytest.fixture
def gate() -> small_model.Gate:
    return small_model.Gate()


@pytest.fixture
def engine(gate, monkeypatch):
    monkeypatch.setattr("app.rooms.routes.LIMITER", fresh := Limiter())
    monkeypatch.setattr("app.rooms.asking.LIMITER", fresh)
    with small_model.behind_routes(monkeypatch, gate) as served:
        yield served


class Room:
    """A room of which a test is the teacher, over HTTP."""

    def __init__(self, client: TestClient, **allowed: Any) -> None:
        self.client = client
        opened = client.post(ROOMS, json={"title": "Friday", "allowed": ALLOWED | allowed}).json()
        self.at, self.key = f"{ROOMS}/{opened['code']}", opened["key"]

    def join(self, name: str) -> dict[str, Any]:
        answer = self.client.post(f"{self.at}/join", json={"name": name})
        assert answer.status_code == 200
        return dict(answer.json())

    def change(self, **parts: Any) -> None:
        self.client.post(f"{self.at}/teacher", json=parts, headers=bearer(self.key)).raise_for_status()

    def start(self, token: str, query: dict[str, str], broadcast: int = 0) -> Any:
        asked = {"query": query, "broadcast": broadcast}
        return self.client.post(f"{self.at}/runs", json=asked, headers=bearer(token))

    def get(self, path: str, token: str = "") -> Any:
        return self.client.get(f"{self.at}/{path}", headers=bearer(token))


@pytest.fixture
def room(engine) -> Iterator[Room]:
    with TestClient(Starlette(routes=routes())) as client:
        yield Room(client)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def photo(size: tuple[int, int], orientation: int = 1) -> bytes:
    """Return a JPEG whose left half, once it is upright, is red; the other is blue."""
    picture = Image.new("RGB", size, "blue")
    half = (size[0] // 2, size[1]) if orientation == 1 else (size[0], size[1] // 2)
    place = (0, 0) if orientation == 1 else (0, size[1] // 2)
    picture.paste("red", (*place, place[0] + half[0], place[1] + half[1]))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    picture.save(file, "JPEG", exif=exif)
    return file.getvalue()


# ---- the routes ---------------------------------------------------------------------------


def test_joining_twice_makes_two_members_and_a_wrong_token_is_nobody(room: Room) -> None:
    anna, other = room.join("Anna"), room.join(" Anna ")
    assert [who["member"]["name"] for who in (anna, other)] == ["Anna", "Anna 2"]
    assert room.get("me", anna["token"]).json()["member"] == anna["member"]
    assert room.client.post(f"{room.at}/join", json={"name": " "}).status_code == 400
    elsewhere = Room(room.client)
    for at in (room, elsewhere):
        for path in ("me", "runs", "seen?model=small&image=cat", "classes?model=small"):
            answer = at.get(path, anna["token"][:-1] if at is room else anna["token"])
            assert (answer.status_code, list(answer.json())) == (403, ["error"])
    assert elsewhere.start(anna["token"], QUERY).status_code == 403


def test_a_run_is_listed_with_what_starts_it_again(room: Room, engine) -> None:
    token = room.join("Anna")["token"]
    room.change(broadcast=QUERY, words="now")
    started = room.start(token, QUERY, broadcast=1).json()
    run = engine.run(started["run"])
    list(engine.follow(run))
    (listed,) = room.get("runs", token).json()["runs"]
    assert (listed["run"], listed["over"], listed["broadcast"], listed["number"]) == (run.id, True, 1, 1)
    assert listed["fooled"] == run.succeeded(len(run) - 1) and listed["count"] == len(run)
    assert room.start(token, listed["query"]).json()["query"] == listed["query"]
    assert engine.run(room.get("runs", token).json()["runs"][0]["run"]).recipe == run.recipe
    assert room.get("runs", room.join("Ben")["token"]).json() == {"runs": []}
    shown = room.get("seen?model=small&image=cat", token).json()
    best = engine.classify("small", "cat")[0]
    assert (shown["label"], shown["probability"], shown["size"]) == (
        best.label,
        round(best.probability, 4),
        16,
    )


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"model": "smaller"}, "smaller"),
        ({"image": "dog"}, "dog"),
        ({"attack": "pgd"}, "pgd"),
        ({"epsilon": "5/255"}, "5/255"),
        ({"steps": "201"}, "201"),
        ({"image": "upload:" + "x" * 22}, "own uploads"),
    ],
)
def test_what_a_room_does_not_allow_is_refused_and_not_noted(room: Room, query, word) -> None:
    token = room.join("Anna")["token"]
    answer = room.start(token, QUERY | query)
    assert answer.status_code == 403 and word in answer.json()["error"]
    if "image" in query or "model" in query:
        at = "&".join(f"{name}={(QUERY | query)[name]}" for name in ("model", "image"))
        assert room.get(f"seen?{at}", token).status_code == 403
    assert room.get("runs", token).json() == {"runs": []}


def test_an_upload_is_its_owners_and_refused_where_it_is_none(room: Room) -> None:
    anna, ben = room.join("Anna")["token"], room.join("Ben")["token"]

    def upload(data: bytes) -> Any:
        named = bearer(anna) | {"X-File-Name": "%E7%8C%AB.txt"}
        return room.client.post(f"{room.at}/uploads", content=data, headers=named)

    image = upload(photo((60, 40))).json()["image"]
    assert room.get("me", anna).json()["uploads"] == [image] and room.get("me", ben).json()["uploads"] == []
    assert room.start(anna, QUERY | {"image": image}).status_code == 200
    assert room.start(ben, QUERY | {"image": image}).status_code == 403
    refused = upload(b"dear diary")
    assert refused.status_code == 400 and "*.txt" in refused.json()["error"]
    room.change(frozen=True)
    assert upload(photo((60, 40))).status_code == 403 and room.start(anna, QUERY).status_code == 403
    room.change(frozen=False, allowed={"uploads": False})
    assert upload(photo((60, 40))).status_code == 403
    assert room.start(anna, QUERY | {"image": image}).status_code == 403
    assert room.get("me", anna).json()["uploads"] == [image]


def test_a_wrong_code_is_a_page_that_asks_for_it_again(room: Room) -> None:
    answer = room.client.get(f"{ROOMS}/NOWHERE?lang=zh")
    facts = re.search(r'id="facts">(.*?)</script>', answer.text)
    assert answer.status_code == 404 and facts
    told = json.loads(facts[1])
    assert told["typed"] == "NOWHERE" and "NOWHERE" in told["sentence"] and "code" not in told
    assert told["sentence"] != room.client.get(f"{ROOMS}/NOWHERE/me").json()["error"], "in Chinese"
    assert f'"code": "{room.at[-6:]}"' in room.client.get(room.at).text


@pytest.mark.parametrize(
    ("asked", "browser", "spoken"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr-FR,fr;q=0.9,zh-TW;q=0.5,en;q=0.1", "zh"),
        ("", "en-GB,zh;q=0.3", "en"),
        ("", "*", "en"),
        ("?lang=en", "zh-CN", "en"),
        ("?lang=zh", "en", "zh"),
    ],
)
def test_a_page_speaks_as_asked_else_as_the_browser_does(
    room: Room, asked: str, browser: str, spoken: str
) -> None:
    page = room.client.get(f"{room.at}{asked}", headers={"Accept-Language": browser}).text
    assert f'<html lang="{spoken}">' in page and f'"language": "{spoken}"' in page


# ---- the page -----------------------------------------------------------------------------


class Phone:
    """A student's page in a window of 360 by 640 pixels; ``teach`` changes its room."""

    def __init__(self, here: Playground, url: str, **allowed: Any) -> None:
        self.here, self.page, self.url = here, here.page, f"{url}{ROOMS}"
        self.opened = self.post("", {"title": "Friday", "allowed": allowed})

    def post(self, path: str, asked: dict[str, Any], key: str = "") -> Any:
        data = json.dumps(asked).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, bearer(key), method="POST")
        return json.loads(urllib.request.urlopen(request, timeout=60).read())

    def teach(self, **parts: Any) -> None:
        self.post(f"/{self.opened['code']}/teacher", parts, self.opened["key"])

    def join(self, name: str = "Anna") -> Phone:
        self.page.goto(f"{self.url}/{self.opened['code']}")
        return self.enter(name)

    def enter(self, name: str = "Anna") -> Phone:
        self.part("name").fill(name)
        self.page.get_by_role("button", name="Join").tap()
        expect(self.part("seen").locator("b")).not_to_be_empty()
        return self

    def part(self, name: str) -> Locator:
        return self.page.locator(f"[data-test={name}]")

    def tile(self, name: str) -> Locator:
        return self.page.get_by_role("radio", name=name, exact=True)

    def run(self) -> None:
        self.part("run").tap()
        self.here.begun()

    def first_screen(self, *parts: Locator) -> None:
        """Fail unless these are seen without scrolling, above the buttons, and nothing is too wide."""
        assert self.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth && scrollY === 0")
        bottom = self.page.locator(".actions").bounding_box()
        assert bottom
        for part in parts:
            box = part.bounding_box()
            assert box and box["y"] >= 0 and box["x"] >= 0 and box["x"] + box["width"] <= 360
            assert box["y"] + box["height"] <= bottom["y"] + 0.5, part

    def faults(self) -> list[str]:
        """Return what axe-core finds, in light and in dark."""
        found: list[str] = []
        self.page.emulate_media(color_scheme="light")
        found += self.page.evaluate(RUN, WCAG)
        self.page.emulate_media(color_scheme="dark")
        found += self.page.evaluate(RUN, CONTRAST)
        return found


def handheld(visitor: Visitor, url: str, **allowed: Any) -> Phone:
    here = visitor(viewport=HANDHELD, has_touch=True, is_mobile=True)
    here.page.goto(f"{url}{ROOMS}")  # not the last test's page, whose sockets would go on
    return Phone(here, url, **allowed)


def test_a_phone_joins_chooses_and_runs(visitor: Visitor, site: Site) -> None:
    phone = handheld(visitor, site.url)
    page, here = phone.page, phone.here
    phone.part("code").fill(phone.opened["code"].lower())
    page.get_by_role("button", name="Go on").tap()
    phone.part("name").fill("An")
    phone.part("lang-zh").tap()
    expect(phone.part("name")).to_have_value("An")
    phone.part("lang-en").tap()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    phone.enter()
    page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8"))
    phone.tile("Cat").check(force=True)
    expect(phone.part("seen").locator("b")).to_contain_text("cat")
    phone.part("target").tap()
    phone.part("target-search").fill("烤面包")
    expect(page.locator("#classes").get_by_role("option").first).to_contain_text("toaster")
    assert phone.faults() == []
    page.keyboard.press("Enter")
    phone.first_screen(page.locator(".seen-picture"), phone.part("strip"), phone.part("target"))
    expect(phone.part("run")).to_be_in_viewport(ratio=1)
    phone.part("how").tap()
    phone.part("step_size").select_option("1/255")
    phone.part("steps").select_option("10")
    expect(phone.part("how")).to_contain_text("8/255 · 10 steps")
    assert phone.faults() == []
    phone.run()
    here.reaches("finished")
    facts = here.ask(here.fact("run"))
    assert (facts["image"], facts["target"]["label"]) == ("cat", "toaster")
    expect(here.part("now")).to_contain_text("toaster")
    phone.first_screen(here.part("verdict"), *map(here.picture, ("original", "perturbation", "adversarial")))
    phone.first_screen(here.part("chart"))
    assert phone.faults() == []
    link = page.get_by_role("link", name="Save the picture").get_attribute("href")
    saved = page.request.get(f"{site.url}{link}")
    assert Image.open(io.BytesIO(saved.body())).size == (224, 224)

    run = here.fact("run")
    page.reload()
    expect(here.player).to_have_attribute("data-run", run)
    here.reaches("finished")
    phone.part("lang-zh").tap()
    expect(phone.part("runs").locator("button[data-fooled]")).to_have_count(1)
    phone.part("run").tap()  # back to what is chosen, which is as it was
    expect(phone.part("target")).to_contain_text("toaster")
    expect(phone.part("steps")).to_have_value("10")
    expect(phone.part("member")).to_have_text("Anna")
    phone.part("leave").tap()
    expect(phone.part("name")).to_be_visible()


def test_a_page_follows_its_teacher_and_takes_photos(visitor: Visitor, site: Site) -> None:
    phone = handheld(visitor, site.url, models=["efficientnet_lite0"]).join()
    page, here = phone.page, phone.here
    sent: list[Request] = []
    page.on("request", lambda asked: sent.append(asked) if "uploads" in asked.url else None)
    large = photo((3000, 2400), orientation=6)
    phone.part("photo").set_input_files({"name": "猫.jpg", "mimeType": "image/jpeg", "buffer": large})
    expect(phone.tile("My photo")).to_be_checked()
    seen = page.locator(".seen-picture:not([data-stale])")
    expect(seen).to_be_visible()
    shown = page.request.get(f"{site.url}/foolscope/seen.png?{_chosen(phone)}").body()
    pixels = np.asarray(Image.open(io.BytesIO(shown)))
    left, right = pixels[112, 20], pixels[112, 200]
    assert left[0] > 200 > 60 > left[2] and right[2] > 200 > 60 > right[0], "upright: red on the left"
    assert [asked.sizes()["requestBodySize"] < len(large) for asked in sent] == [True], "once, and smaller"

    phone.teach(broadcast={"image": "cat", "attack": "fgsm", "epsilon": "1/255"}, words="Everyone, now!")
    expect(phone.part("call")).to_contain_text("Everyone, now!")
    phone.teach(frozen=True)
    expect(phone.part("frozen")).to_be_visible()
    expect(phone.part("run")).to_be_disabled()
    phone.teach(frozen=False)
    phone.part("call-run").tap()
    here.begun()
    expect(phone.part("call")).to_be_hidden()
    here.reaches("finished")
    facts = here.ask(here.fact("run"))
    assert (facts["image"], facts["attack"]["name"]) == ("cat", "fgsm")

    phone.part("run").tap()
    phone.tile("My photo").check(force=True)
    phone.teach(allowed={"uploads": False, "attacks": ["bim", "fgsm"], "epsilon": 2 / 255})
    expect(phone.part("photo")).to_have_count(0)
    expect(phone.tile("Panda")).to_be_checked()
    expect(phone.part("attack")).to_have_value("fgsm")
    expect(phone.part("epsilon")).to_have_value("1/255")
    offered = phone.part("epsilon").locator("option").all_text_contents()
    assert offered == ["0.5/255", "1/255", "2/255"]


def _chosen(phone: Phone) -> str:
    place = f"foolscope.room.{phone.opened['code']}"
    choice = json.loads(phone.page.evaluate("place => localStorage.getItem(place)", place))["choice"]
    return f"model={choice['model']}&image={choice['image']}"


@pytest.fixture
def small_site(engine) -> Iterator[str]:
    """Return the address of a server in this process, behind which is the engine with the small network."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes()), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, "the server")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


LOCK = """() => {
  Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
UNLOCK = """() => {
  const now = Date.now;
  Date.now = () => now() + 90_000;
  delete document.visibilityState;
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_phone_that_was_locked_in_mid_run_goes_on(
    window_maker: Browser, small_site: str, engine, gate, monkeypatch
) -> None:
    monkeypatch.setattr("engine.housekeeping.UNWATCHED_AFTER", 0.5)
    gate.hook = lambda batch: time.sleep(0.2)
    sockets: list[WebSocketRoute] = []

    def through(asked: WebSocketRoute) -> None:
        server = asked.connect_to_server()
        server.on_close(lambda code, reason: None)  # the phone hears nothing of it
        sockets.append(server)

    context = window_maker.new_context(viewport=HANDHELD, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.route_web_socket(re.compile("/live"), through)
    phone = Phone(Playground(page, Site(small_site, cast(Any, None), Path())), small_site, **ALLOWED).join()
    phone.part("target").tap()
    page.locator("#classes").get_by_role("option").last.tap()
    phone.part("how").tap()
    phone.part("epsilon").select_option("0.5/255")  # far too little: it takes all its steps
    phone.part("run").tap()
    player = phone.here.player
    expect(player).to_have_attribute("data-count", re.compile("[3-9]|.."))
    run = engine.run(player.get_attribute("data-run"))
    page.evaluate(LOCK)
    for server in sockets:
        server.close()
    until(lambda: (run.status, run.reason) == ("paused", "unwatched"), "the run to pause")
    steps = len(run)
    assert phone.here.count <= steps < run.total
    page.evaluate(UNLOCK)
    expect(player).to_have_attribute("data-status", "finished")
    expect(player).to_have_attribute("data-count", str(len(run)))
    assert len(run) > steps
    assert phone.here.complaints == []
    context.close()
