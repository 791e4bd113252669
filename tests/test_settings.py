"""What environment variables say, and what they may not say."""

from __future__ import annotations

import pytest

import settings
from errors import BadSetting


@pytest.mark.parametrize(
    ("named", "address"),
    [
        ("", ""),
        ("embedded", ""),
        ("ray", settings.REPLICAS),
        (" https://gpus.example.org/engine/ ", "https://gpus.example.org/engine"),
    ],
)
def test_the_engine_is_here_or_at_an_address(
    monkeypatch: pytest.MonkeyPatch, named: str, address: str
) -> None:
    monkeypatch.setenv("FOOLSCOPE_ENGINE", named)
    assert settings.engine() == address


@pytest.mark.parametrize("named", ["elsewhere", "ray://head:10001", "ftp://gpus"])
def test_another_engine_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("FOOLSCOPE_ENGINE", named)
    with pytest.raises(BadSetting, match="Expected FOOLSCOPE_ENGINE to be embedded, ray or an address"):
        settings.engine()
