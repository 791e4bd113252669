"""A server of files on the loopback address that can break off, lie, or refuse ranges."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Server:
    """What is sent: one of ``files`` by the last part of its address, else ``content``; and what was asked:
    the ranges, and the ``paths``. ``gate``: what is waited for in the middle of a file."""

    content: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int = 200
    asked: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    gate: threading.Event | None = None
    base: str = ""
    http: ThreadingHTTPServer | None = None

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Answer over https from now on."""
        assert self.http is not None
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.base = self.base.replace("http:", "https:")


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            server.asked.append(asked)
            start = int(asked[6:-1]) if asked and server.ranges else 0
            server.paths.append(self.path)
            whole = server.files.get(self.path.rpartition("/")[2], server.content)
            body = whole[start:]
            if server.status != 200 or (start and not body):
                self.send_response(server.status if server.status != 200 else 416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            body = body[: server.break_after.pop(0)] if server.break_after else body
            self.wfile.write(body[: len(body) // 2])
            if server.gate:
                server.gate.wait(20)
            self.wfile.write(body[len(body) // 2 :])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def file_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Yield a running server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.base = f"http://127.0.0.1:{http.server_port}/models/"
    state.http = http
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()
