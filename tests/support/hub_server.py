"""A hub of networks on the loopback address: what huggingface_hub asks, and what goes wrong there."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

LARGE = (".safetensors", ".bin")
"""What a hub keeps outside of git, under its sha256."""


@dataclass
class Hub:
    """``repositories``: files by name. ``gated``: names of those that nobody may read; ``licence``: of all.

    ``replaced``: what is sent in place of a file, by the digest that the hub states. ``break_after``: after
    how many bytes the next large files break off. ``status``: what is answered to everything, 0 when the hub
    works. ``asked``: methods and paths; ``ranges``: of large files; ``tokens``: what came along to read a
    file, small or large. ``base``: its address; ``store``: that of
    the server to which it sends people for large files.
    """

    repositories: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    licence: str = "mit"
    replaced: dict[str, bytes] = field(default_factory=dict)
    break_after: list[int] = field(default_factory=list)
    status: int = 0
    asked: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    base: str = ""
    store: str = ""

    def push(self, name: str, folder: Path) -> None:
        """Take the files of a folder in as a repository."""
        self.repositories[name] = {path.name: path.read_bytes() for path in folder.iterdir()}

    def commit(self, name: str) -> str:
        """Return the name of a repository's only commit."""
        everything = b"".join(key.encode() + value for key, value in sorted(self.repositories[name].items()))
        return hashlib.sha1(everything).hexdigest()

    def listing(self, name: str) -> bytes:
        """Return what the hub says of a repository."""
        siblings = [sibling(file, data) for file, data in self.repositories[name].items()]
        known = {"_id": "1", "id": name, "sha": self.commit(name), "siblings": siblings, "private": False}
        return json.dumps(known | {"cardData": {"license": self.licence}, "tags": []}).encode()

    def large(self, digest: str) -> bytes | None:
        """Return the large file of that sha256, or what is sent in its place."""
        files = (data for repository in self.repositories.values() for data in repository.values())
        own = next((data for data in files if sha256(data) == digest), None)
        return self.replaced.get(digest, own)


def sha256(data: bytes) -> str:
    """Return the sha256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def blob(data: bytes) -> str:
    """Return git's name of bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sibling(name: str, data: bytes) -> dict[str, object]:
    """Return what the hub's list says of a file."""
    known: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": blob(data)}
    large = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
    return known | ({"lfs": large} if name.endswith(LARGE) else {})


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer()

        def do_GET(self) -> None:
            self.answer()

        def answer(self) -> None:
            path = unquote(urlparse(self.path).path).strip("/").split("/")
            hub.asked.append(f"{self.command} {self.path}")
            if path[0] != "api":
                hub.tokens.append(self.headers["Authorization"])
            match path:
                case _ if hub.status:
                    self.send(hub.status)
                case ["api", "models", owner, name, *rest] if rest in (
                    [],
                    ["revision", rest[-1:] and rest[-1]],
                ):
                    self.describe(f"{owner}/{name}", rest[-1] if rest else "main")
                case [owner, name, "resolve", revision, *file]:
                    self.resolve(f"{owner}/{name}", revision, "/".join(file))
                case ["large", digest]:
                    self.send_large(digest)
                case _:
                    self.send(404)

        def describe(self, name: str, revision: str) -> None:
            if name not in hub.repositories:
                self.send(401, {"X-Error-Message": "Invalid username or password."})
            elif revision not in ("main", hub.commit(name)):
                self.send(404, {"X-Error-Code": "RevisionNotFound"})
            else:
                self.send(200, {"Content-Type": "application/json"}, hub.listing(name))

        def resolve(self, name: str, revision: str, file: str) -> None:
            if name in hub.gated:
                self.send(401, {"X-Error-Code": "GatedRepo"})
            elif name not in hub.repositories:
                self.send(401, {"X-Error-Code": "RepoNotFound"})
            elif file not in hub.repositories[name]:
                self.send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": hub.commit(name)})
            else:
                self.send_file(hub.repositories[name][file], file, hub.commit(name))

        def send_file(self, data: bytes, file: str, commit: str) -> None:
            if not file.endswith(LARGE):
                body = hub.replaced.get(blob(data), data)
                self.send(200, {"ETag": f'"{blob(data)}"', "X-Repo-Commit": commit}, body)
                return
            digest = sha256(data)
            headers = {"Location": f"{hub.store}/large/{digest}", "X-Repo-Commit": commit}
            self.send(302, headers | {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(data))})

        def send_large(self, digest: str) -> None:
            whole = hub.large(digest) or b""
            wanted = self.headers["Range"]
            hub.ranges.append(wanted)
            start = int(wanted[6:-1]) if wanted else 0
            body = whole[start:]
            if start and not body:
                self.send(416)
                return
            headers = {"Content-Range": f"bytes {start}-{len(whole) - 1}/{len(whole)}"} if start else {}
            breaks = hub.break_after.pop(0) if hub.break_after else None
            self.send(206 if start else 200, headers, body, breaks)

        def send(
            self,
            status: int,
            headers: Mapping[str, str] | None = None,
            body: bytes = b"",
            breaks: int | None = None,
        ) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[:breaks])
            self.close_connection = self.close_connection or breaks is not None

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Yield a running hub that the program asks, with a home of its own for what comes from it."""
    hub = Hub()
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) for _ in range(2)]
    hub.base, hub.store = (f"http://127.0.0.1:{http.server_port}" for http in servers)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", hub.base)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path / "home"))
    threads = [threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True) for http in servers]
    for thread in threads:
        thread.start()
    yield hub
    for http, thread in zip(servers, threads, strict=True):
        http.shutdown()
        http.server_close()
        thread.join()
