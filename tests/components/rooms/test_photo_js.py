"""A photo on its way from a student's phone: what is lost is sent again, what is refused is not."""

from __future__ import annotations

import json

import pytest

from settings import LIVE
from tests.components.test_player_js import _node

SEND = """
let sent = 0;
const delays = [];
globalThis.document = { baseURI: "http://here/", documentElement: { lang: "en" } };
globalThis.setTimeout = (act, delay) => { delays.push(delay); queueMicrotask(act); };
globalThis.XMLHttpRequest = class {
  upload = {};
  open() {}
  setRequestHeader() {}
  send() {
    const status = STATUSES[Math.min(sent++, STATUSES.length - 1)];
    Object.assign(this, { status, response: status === 200 ? { image: "upload:a" } : { error: "No." } });
    queueMicrotask(() => (status ? this.onload() : this.onerror()));
  }
};
const { send } = await import(PHOTO);
const server = { at: (path) => path, token: "t" };
const said = (error) => `${error.constructor.name} ${error.message}`;
const name = await send(server, {}, "a.png", () => {}).catch(said);
answer = { name, sent, delays };
"""


@pytest.mark.parametrize(
    ("statuses", "name", "sent"),
    [
        ([0, 0, 200], "upload:a", 3),
        ([0, 0, 0, 0, 200], "TypeError no answer", 4),
        ([400, 200], "Refused No.", 1),
        ([0, 429, 200], "Refused No.", 2),
    ],
)
def test_a_lost_upload_is_sent_again_a_few_times(statuses: list[int], name: str, sent: int) -> None:
    photo = (LIVE / "rooms" / "photo.js").as_uri()
    answer = _node(f"const STATUSES = {statuses};" + SEND.replace("PHOTO", json.dumps(photo)))
    assert (answer["name"], answer["sent"]) == (name, sent)
    assert answer["delays"] == sorted(set(answer["delays"])), "it waits longer each time"
