"""What the server's answers tell browsers to be careful about, asked of a real server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping

import pytest

from bench.site import Site


def headers(url: str, **given: str) -> Mapping[str, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=given), timeout=60) as answer:
        return dict(answer.headers)


@pytest.mark.parametrize("path", ["/", "/foolscope/samples/panda.jpg", "/foolscope/rooms"])
def test_every_answer_is_what_its_type_says_and_keeps_addresses_to_itself(site: Site, path: str) -> None:
    told = headers(site.url + path, Accept="text/html")
    assert told["x-content-type-options"] == "nosniff"
    assert told["referrer-policy"] == "same-origin"


def test_a_page_of_a_room_runs_the_servers_own_scripts_alone(site: Site) -> None:
    told = headers(f"{site.url}/foolscope/rooms")
    policy = told["content-security-policy"]
    assert "default-src 'self'" in policy and "object-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert told["cache-control"] == "no-store"


def test_what_a_room_is_called_is_no_markup(site: Site) -> None:
    title = "</title></script><script>alert(1)</script>"
    asked = urllib.request.Request(f"{site.url}/foolscope/rooms", json.dumps({"title": title}).encode())
    code = json.load(urllib.request.urlopen(asked, timeout=60))["code"]
    page = urllib.request.urlopen(f"{site.url}/foolscope/rooms/{code}", timeout=60).read().decode()
    assert "<script>alert" not in page and "&lt;/title&gt;" in page
