"""A page whose replicas are not there says so, and the server goes on."""

from __future__ import annotations

import socket

import pytest
from streamlit.testing.v1 import AppTest

from engine.remote import client
from engine.remote.remote_engine import RemoteEngine
from settings import ROOT


def test_a_page_says_that_its_replicas_are_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BETWEEN_TRIES", 0.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        engine = RemoteEngine(f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setattr("app.service.engine", lambda: engine)
        monkeypatch.setattr("app.service.ready", lambda: True)
        app = AppTest.from_file(str(ROOT / "app" / "pages.py"), default_timeout=60)
        try:
            app.run()
            assert not app.exception
            assert any("Expected an engine at http://127.0.0.1" in error.value for error in app.error)
            assert not engine.health().healthy and "does not answer" in engine.health().error
        finally:
            engine.close()
