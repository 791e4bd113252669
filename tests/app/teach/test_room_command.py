"""``python -m app room``: a real server on this machine's network, with a room that is joined through it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect
from streamlit import config

from app.cli import room
from app.cli.room import addresses
from bench.site import free_port
from settings import ROOT, SAMPLES
from tests.support.browser import Windows
from tests.support.certificates import self_signed

PATIENCE = 120.0


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the command; return what it has printed once the room is open."""
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "app", "room", "--port", str(free_port()), "--title", "Friday"]
    with (home / "log").open("w+", encoding="utf-8") as log:
        environment = os.environ | {"FOOLSCOPE_HOME": str(home)}
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield awaited(home / "log", server)
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 130, "it ends with its server"


def awaited(log: Path, server: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + PATIENCE
    while "Your key" not in log.read_text(encoding="utf-8"):
        assert server.poll() is None and time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.1)
    return log.read_text(encoding="utf-8")


def line(printed: str, label: str) -> str:
    """Return what stands after a label."""
    (value,) = re.findall(rf"^ *{label} +(\S+)", printed, re.MULTILINE)
    return str(value)


def test_what_is_printed_leads_into_the_room_from_the_network(printed: str) -> None:
    if not addresses():
        pytest.skip("needs a network: this machine is in none")
    joined = line(printed, "Students")
    assert joined.startswith(f"http://{addresses()[0]}:")
    with urllib.request.urlopen(
        urllib.request.Request(f"{joined}/join", json.dumps({"name": "Anna"}).encode()), timeout=60
    ) as answer:
        token = json.load(answer)["token"]
    asked = urllib.request.Request(f"{joined}/me", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert json.load(answer)["room"]["title"] == "Friday"
    key = {"Authorization": f"Bearer {line(printed, 'Your key')}"}
    changed = urllib.request.Request(f"{joined}/teacher", b'{"frozen": true}', key)
    with urllib.request.urlopen(changed, timeout=60) as answer:
        assert json.load(answer)["frozen"] is True
    assert "https" in printed and "█" in printed


def test_the_teachers_page_its_sockets_and_uploads_work_at_the_networks_address(
    printed: str, windows: Windows
) -> None:
    if not addresses():
        pytest.skip("needs a network: this machine is in none")
    teacher = line(printed, "Teacher")
    with windows() as page:
        page.goto(teacher)
        page.get_by_label("Key", exact=True).fill(line(printed, "Your key"))
        page.get_by_role("button", name="Get back in").click()
        expect(page.locator("[data-test=code]")).to_be_visible()
        expect(page.locator("[data-test=people]")).to_contain_text("Anna")
        page.goto(teacher.partition("/teach")[0])
        page.locator(".st-key-upload input[type=file]").set_input_files(SAMPLES / "seven.png")
        expect(page).to_have_url(re.compile("image=upload"))
        page.goto("about:blank")


def test_a_port_that_is_taken_is_refused_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert room.main(["--port", str(port)]) == room.REFUSED
    assert f"Expected port {port} to be free" in capsys.readouterr().err


def test_a_server_that_does_not_start_is_said_and_leaves_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert room.main(["--port", str(free_port()), "--server.maxUploadSize", "much"]) == room.REFUSED
    assert room.STOPPED in capfd.readouterr().err


def test_without_a_network_that_is_said() -> None:
    words = room.invitation([], 8501, "ABCDEF", "key")
    assert room.NO_NETWORK in words and "http://127.0.0.1:8501/foolscope/rooms/ABCDEF" in words
    assert "127.0.0.1" not in addresses(lambda: ["127.0.1.1", "127.0.0.1"])


@pytest.mark.parametrize("how", ["option", "one word", "variable", "file", "none"])
def test_with_a_certificate_the_addresses_are_https(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"option": ["--server.sslCertFile", "a.pem"], "one word": ["--server.sslCertFile=a.pem"]}.get(
        how, []
    )
    if how == "variable":
        monkeypatch.setenv(room.CERTIFICATE_VARIABLE, "a.pem")
    if how == "file":
        monkeypatch.setattr(config, "get_option", {"server.sslCertFile": "a.pem"}.get)
    kind = room.scheme(more)
    words = room.invitation(["192.0.2.7"], 8501, "ABCDEF", "key", kind)
    assert ("http://" in words) == (room.CAMERA in words) == (how == "none")
    assert ("https://192.0.2.7:8501/foolscope/rooms/ABCDEF" in words) == (how != "none")


def test_a_server_with_a_certificate_is_asked_over_https(tmp_path: Path) -> None:
    """A real one, made for this test, for a name that is not this machine's."""
    context = self_signed(tmp_path, "class.example.org")
    with HTTPServer(("127.0.0.1", 0), Answers) as server, subprocess.Popen(["sleep", "60"]) as process:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        out = io.StringIO()
        assert room._opened(process, "https", server.server_port, "Friday", out) == ""
        server.shutdown()
        process.kill()
    assert "/foolscope/rooms/ABCDEF" in out.getvalue() and "https://" in out.getvalue()


class Answers(BaseHTTPRequestHandler):
    """Answers every request as if a room had been opened."""

    def do_GET(self) -> None:
        """Answer, as to every other request."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"code": "ABCDEF", "key": "secret"}')

    def do_POST(self) -> None:
        """Answer."""
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
