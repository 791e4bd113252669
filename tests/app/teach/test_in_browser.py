"""A teacher's room in a real browser: opened by one press, joined, changed, frozen, exported, ended."""

from __future__ import annotations

import io
import json
import re
import urllib.error
import urllib.request
import zipfile

from playwright.sync_api import Page, expect

from tests.support.browser import Playground, Visitor, until


def open_room(page: Page, url: str) -> tuple[str, str]:
    """Press the one button; return the room's code and key."""
    page.goto(f"{url}/teach")
    page.get_by_role("button", name="Open a room").click()
    code = page.locator("[data-test=code]")
    expect(code).to_be_visible()
    key = page.locator(".st-key-teach_key code").inner_text().strip()
    page.get_by_role("button", name="I have it").click()
    expect(page.locator(".st-key-teach_key")).to_have_count(0)
    return re.sub(r"\s", "", code.inner_text()), key


class Student:
    """Somebody who joined a room, by the same requests as a phone."""

    def __init__(self, room: str, name: str) -> None:
        self.room, self.token = room, ""
        self.token = str(self.ask("join", {"name": name})["token"])

    def ask(self, path: str, plain: object = None) -> dict[str, object]:
        data = None if plain is None else json.dumps(plain).encode()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        request = urllib.request.Request(f"{self.room}/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            answered: dict[str, object] = json.load(answer)
            return answered

    def refused(self, path: str, plain: object) -> str:
        """Return with which sentence something is refused, "" where it is not."""
        try:
            self.ask(path, plain)
        except urllib.error.HTTPError as error:
            return str(json.load(error)["error"])
        return ""


def test_a_lesson_in_a_room(playground: Playground, visitor: Visitor) -> None:
    """From one press to the end, with somebody who joined in between."""
    page, url = playground.page, playground.site.url
    code, key = open_room(page, url)
    anna = Student(f"{url}/foolscope/rooms/{code}", "Anna")
    expect(page.locator("[data-test=people]")).to_contain_text("Anna")
    run = anna.ask("runs", {"query": {"model": "photos", "image": "cat", "attack": "fgsm"}})["run"]
    until(lambda: playground.ask(str(run))["status"] == "finished", "the run to be over")

    page.reload()  # this browser gets back in by its cookie
    expect(page.locator("[data-test=code]")).to_be_visible()
    page.get_by_role("tab", name="What is allowed").click()
    steps = page.get_by_label("Steps a run", exact=True)
    steps.fill("3")
    steps.press("Enter")
    long = {"query": {"model": "photos", "image": "cat", "attack": "bim", "steps": "4"}}
    until(lambda: "at most 3 steps" in anna.refused("runs", long), "the change to hold")

    page.get_by_text("Freeze", exact=True).click()
    playground.settle()
    assert "stopped the room" in anna.refused("runs", {"query": {"model": "photos", "attack": "fgsm"}})

    leave_by_key(visitor, url, code, key)
    page.bring_to_front()
    page.reload()
    expect(page.get_by_role("heading", name="Rooms")).to_be_visible()
    assert anna.refused("runs", long).startswith("Expected the code of a room that is open")


def leave_by_key(visitor: Visitor, url: str, code: str, key: str) -> None:
    """In another browser: get in by code and key, take the archive, end the room."""
    other = visitor(locale="en-GB").page
    other.goto(f"{url}/teach?room={code}")
    other.get_by_label("Key", exact=True).fill(f"{key}x")
    other.get_by_role("button", name="Get back in").click()
    expect(other.get_by_test_id("stAlertContentError")).to_have_text(
        "Expected the key of this room's teacher."
    )
    other.get_by_label("Key", exact=True).fill(key)
    other.get_by_role("button", name="Get back in").click()
    expect(other.locator("[data-test=code]")).to_be_visible()
    other.get_by_role("tab", name="Export and end").click()
    with other.expect_download() as download:
        other.get_by_role("button", name="Export all as one archive").click()
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert archive.testzip() is None and download.value.suggested_filename == f"room-{code}.zip"
    assert "Anna" in archive.read("runs.csv").decode("utf-8-sig")
    assert "runs/001-Anna/001/last.png" in archive.namelist()
    other.get_by_role("button", name="End the room").click()
    other.get_by_role("button", name="Delete all of it").click()
    expect(other.get_by_role("heading", name="Rooms")).to_be_visible()
