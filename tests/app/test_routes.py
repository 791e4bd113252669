"""The routes beside the page: what a run tells over HTTP and over a socket, to whom, and what it refuses."""

from __future__ import annotations

import io
import json
import struct
import time
import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anyio
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.websockets import WebSocketDisconnect

from app.live import FRAME, STILL
from app.routes import routes
from attacks.contract import Stop
from components.live import protocol
from engine.images.sources import samples
from engine.recipe import Recipe
from engine.run import SCALARS
from tests.support import small_model

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer versions would rather have another client
    from starlette.testclient import TestClient

RECIPE = Recipe("small", "cat", "bim", {"steps": 12, "step_size": 1 / 255}, stop=Stop("steps"))
ENDLESS = replace(RECIPE, params={"steps": 10_000})
RUNS = "/foolscope/runs"
ELSEWHERE = {"Origin": "https://elsewhere.example"}


@pytest.fixture
def gate():
    return small_model.Gate()


@pytest.fixture
def engine(gate, monkeypatch):
    with small_model.behind_routes(monkeypatch, gate) as served:
        yield served


@pytest.fixture
def client(engine):
    with TestClient(Starlette(routes=routes())) as made:
        yield made


@pytest.fixture
def done(engine):
    run = engine.submit(RECIPE)
    assert len(list(engine.follow(run))) == 13
    return run


@pytest.fixture
def paused(engine):
    """A run that waits at the untouched picture."""
    run = engine.submit(ENDLESS, paused=True)
    engine.step(run)
    assert run.wait(0, 30)
    while run.status != "paused":
        time.sleep(0.001)
    return run


class Reader:
    """A second reading of the wire's description: it puts a run together from frames alone."""

    def __init__(self, socket, start=0):
        self.socket = socket
        self.start = start
        self.run = json.loads(socket.receive_text())
        self.columns, self.rows, self.pictures, self.statuses, self.errors = {}, [], [], [], []

    def read(self, until):
        while not until(self):
            self.one()
        return self

    def one(self):
        message = self.socket.receive()
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message["code"])
        if message.get("text") is not None:
            self.text(json.loads(message["text"]))
        else:
            self.binary(message["bytes"])

    def text(self, message):
        if message["type"] == "class":
            assert message["position"] == len(self.columns)
            self.columns[message["position"]] = (message, [])
        elif message["type"] == "status":
            self.statuses.append(message)
        else:
            assert message["type"] == "error"
            self.errors.append(message["sentence"])

    def binary(self, data):
        if data[0] == 1:
            _, scalars, classes, start, count = struct.unpack_from("<BBHII", data)
            assert start == self.start + len(self.rows) and scalars == len(SCALARS)
            table = np.frombuffer(data, "<f4", offset=12).reshape(count, scalars + classes)
            self.rows += [(row[:scalars], row[scalars:]) for row in table]
        elif data[0] == 2:
            _, _, position, count = struct.unpack_from("<BBHI", data)
            self.columns[position][1].extend(np.frombuffer(data, "<f4", count, 8))
        else:
            _, which, _, step = struct.unpack_from("<BBHI", data)
            self.pictures.append((which, step, data[8:]))

    def to_the_end(self):
        with pytest.raises(WebSocketDisconnect) as closed:
            self.read(lambda _: False)
        self.code = closed.value.code
        return self

    @property
    def count(self):
        return self.start + len(self.rows)

    def log_p(self):
        """All columns, put together from their pasts and the rows."""
        table = np.full((self.count, len(self.columns)), np.nan, np.float32)
        for position, (_, past) in self.columns.items():
            table[: len(past), position] = past
        for index, (_, row) in enumerate(self.rows):
            table[self.start + index, : len(row)] = row
        return table


def follow(client, run, start=0, headers=None):
    return client.websocket_connect(f"{RUNS}/{run.id}/live?start={start}", headers=headers or {})


def picture(answer):
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


# ---- a run over HTTP ---------------------------------------------------------------------------


def test_a_run_tells_its_facts_and_where_it_stands(client, done):
    facts = client.get(f"{RUNS}/{done.id}").json()
    assert facts["id"] == done.id and facts["total"] == 12 and facts["count"] == 13
    assert (facts["status"], facts["reason"], facts["end"]) == ("finished", "steps", True)
    assert facts["original"] == {"index": done.original, "label": f"class {done.original}"}
    assert facts["target"] is None and facts["targeted"] is False
    assert (facts["norm"], facts["epsilon"]) == ("linf", pytest.approx(8 / 255))


def test_an_unknown_run_is_refused_everywhere_in_a_sentence(client):
    for path in ("", "/rows", "/steps/0", "/steps/0/adversarial.png"):
        answer = client.get(f"{RUNS}/unknown{path}")
        assert answer.status_code == 404 and "does not know that run" in answer.json()["error"]
    assert client.post(f"{RUNS}/unknown/cancel").status_code == 404


def test_no_address_lists_runs_or_uploads(client, engine, done):
    token = engine.uploads.add(small_png())
    for path in ("/foolscope", "/foolscope/", RUNS, f"{RUNS}/", "/foolscope/uploads", "/foolscope/static/1/"):
        answer = client.get(path)
        assert answer.status_code in (404, 405)
        assert done.id not in answer.text and token not in answer.text
    assert len(done.id) >= 22  # 128 bits


def test_a_step_tells_its_five_best_and_its_figures(client, done):
    for step in (0, 5, 12):
        told = client.get(f"{RUNS}/{done.id}/steps/{step}").json()
        assert told["index"] == told["picture"] == step
        best = sorted(range(small_model.CLASSES), key=lambda k: -done.log_p(step, step + 1)[0, k])[:5]
        assert [one["index"] for one in told["top"]] == best
        assert told["figures"] == {k: v for k, v in done.figures(step).items()}
    assert told["figures"]["linf"] <= 8 / 255 + 1e-6
    beyond = client.get(f"{RUNS}/{done.id}/steps/13")
    assert beyond.status_code == 404 and beyond.json()["error"] == "Expected a step from 0 to 12, got 13."


def test_pictures_of_a_step_are_lossless_as_png(client, done):
    at = f"{RUNS}/{done.id}/steps/7"
    seen = np.asarray(picture(client.get(f"{at}/adversarial.png")), np.float64)
    assert seen.shape == (small_model.SIZE, small_model.SIZE, 3)
    assert np.abs(seen - 255 * done.picture(7).transpose(1, 2, 0)).max() <= 0.51
    start = np.asarray(picture(client.get(f"{at}/original.png")), np.float64)
    assert np.abs(start - 255 * done.picture(0).transpose(1, 2, 0)).max() <= 0.51
    delta = np.asarray(picture(client.get(f"{at}/perturbation.png?gain=8")), np.float64)
    expected = 127.5 + 8 * 255 * done.delta(7).transpose(1, 2, 0)
    assert np.abs(delta - expected.clip(0, 255)).max() <= 1.01
    assert picture(client.get(f"{at}/adversarial.jpg")).format == "JPEG"


def test_the_two_views_and_every_gain_are_different_pictures(client, done):
    at = f"{RUNS}/{done.id}/steps/7/perturbation.png"
    queries = ("gain=1&view=signed", "gain=20&view=signed", "gain=1&view=size", "gain=20&view=size")
    assert len({client.get(f"{at}?{query}").content for query in queries}) == 4


@pytest.mark.parametrize(
    "path",
    [
        "perturbation.png?gain=0",
        "perturbation.png?gain=nan",
        "perturbation.png?gain=1001",
        "perturbation.png?gain=-3",
        "perturbation.png?gain=lots",
        "perturbation.png?view=sideways",
        "adversarial.gif",
        "secret.png",
    ],
)
def test_pictures_that_do_not_exist_are_refused_in_a_sentence(client, done, path):
    answer = client.get(f"{RUNS}/{done.id}/steps/1/{path}")
    assert answer.status_code in (400, 404)
    assert answer.json()["error"].startswith("Expected ")


def test_pictures_are_kept_by_browsers_only_once_they_have_settled(client, engine, paused):
    at = f"{RUNS}/{paused.id}/steps/0"
    assert client.get(f"{at}/adversarial.png").headers["cache-control"] == "no-store"
    assert "immutable" in client.get(f"{at}/original.png").headers["cache-control"]
    engine.cancel(paused)
    assert "immutable" in client.get(f"{at}/adversarial.png").headers["cache-control"]
    assert "private" in client.get(f"{at}/adversarial.png").headers["cache-control"]


def test_rows_without_a_socket_are_those_of_the_run(client, done):
    told = client.get(f"{RUNS}/{done.id}/rows?start=5").json()
    indices = [one["index"] for one in told["classes"]]
    assert told["start"] == 5 and len(told["rows"]) == 8 and told["status"]["end"] is True
    assert np.allclose(told["past"], done.log_p(0, 5, indices))
    assert np.allclose([row[len(SCALARS) :] for row in told["rows"]], done.log_p(5, 13, indices))
    assert told["rows"][-1][SCALARS.index("grad_norm")] is None  # the last step asks for no gradient


@pytest.mark.parametrize("start", ["-3", "many", "", "1e3"])
def test_rows_from_nonsense_are_refused_in_a_sentence(client, done, start):
    answer = client.get(f"{RUNS}/{done.id}/rows?start={start}")
    assert answer.status_code == 400 and answer.json()["error"].startswith("Expected ")


def test_actions_change_what_the_run_does(client, engine, paused):
    def post(action):
        return client.post(f"{RUNS}/{paused.id}/{action}").json()

    before = len(paused)
    assert post("step")["status"] in ("running", "paused")
    assert paused.wait(before, 30)
    assert post("resume")["status"] == "running"
    assert paused.wait(before + 5, 30)
    assert post("pause")["status"] == "paused"
    ended = post("cancel")
    assert (ended["status"], ended["reason"], ended["end"]) == ("cancelled", "cancelled", True)
    assert ended["sentence"].startswith("Stopped by hand at step ")


def test_only_the_four_actions_exist_and_only_by_post(client, paused):
    answer = client.post(f"{RUNS}/{paused.id}/explode")
    assert answer.status_code == 404 and "no action called “explode”" in answer.json()["error"]
    assert client.get(f"{RUNS}/{paused.id}/cancel").status_code == 405
    assert paused.status == "paused"


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://testserver.example"])
def test_another_site_cannot_act(client, paused, origin):
    answer = client.post(f"{RUNS}/{paused.id}/cancel", headers={"Origin": origin})
    assert answer.status_code == 403 and paused.status == "paused"
    assert all(word in answer.json()["error"] for word in ("testserver", origin, "header Host"))
    assert "access-control-allow-origin" not in client.get(f"{RUNS}/{paused.id}", headers=ELSEWHERE).headers
    own = client.post(f"{RUNS}/{paused.id}/cancel", headers={"Origin": "http://testserver"})
    assert own.status_code == 200 and paused.status == "cancelled"


# ---- pictures that people send ------------------------------------------------------------------


def small_png(**options):
    data = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(data, "PNG", **options)
    return data.getvalue()


def test_an_upload_is_seen_by_whoever_has_its_name_and_nobody_else(client, engine):
    first, second = engine.uploads.add(small_png()), engine.uploads.add(small_png())
    assert first != second and len(first.removeprefix("upload:")) >= 22
    seen = picture(client.get("/foolscope/seen.png", params={"model": "small", "image": first}))
    assert seen.size == (small_model.SIZE, small_model.SIZE) and seen.getpixel((8, 8)) == (0, 128, 128)
    for guess in ("upload:", "upload:guess", first[:-1], first.removeprefix("upload:")):
        answer = client.get("/foolscope/seen.png", params={"model": "small", "image": guess})
        assert answer.status_code == 404 and answer.json()["error"].endswith((".", "?"))


def test_what_a_phone_writes_into_a_photo_stays_here(client, engine):
    exif = Image.Exif()
    exif[0x010E] = "the garden behind my house"
    token = engine.uploads.add(small_png(exif=exif))
    answer = client.get("/foolscope/seen.png", params={"model": "small", "image": token})
    assert b"garden" not in answer.content and not picture(answer).getexif()
    assert answer.headers["cache-control"].startswith("private")


@pytest.mark.parametrize("query", [{"model": "nope"}, {"crop": "9,9,9"}, {"image": "../../etc/passwd"}])
def test_what_cannot_be_seen_is_refused_in_a_sentence(client, query):
    answer = client.get("/foolscope/seen.png", params={"model": "small", "image": "cat", **query})
    assert answer.status_code in (400, 404) and len(answer.json()["error"]) > 20


def test_samples_are_small_pictures(client):
    for name in samples():
        assert max(picture(client.get(f"/foolscope/samples/{name}.jpg")).size) <= 112
    assert client.get("/foolscope/samples/nobody.jpg").status_code == 404


def test_the_live_view_s_files_are_served_and_no_others(client):
    answer = client.get("/foolscope/static/abc/player.js")
    assert "javascript" in answer.headers["content-type"] and "immutable" in answer.headers["cache-control"]
    for path in ("..%2Fwire.py", "%2E%2E/wire.py", "nothing.js"):
        assert client.get(f"/foolscope/static/abc/{path}").status_code == 404


def test_everything_lives_under_the_server_s_own_prefix(engine, done, monkeypatch):
    monkeypatch.setattr("streamlit.get_option", lambda _: "/tools/lab/")
    with TestClient(Starlette(routes=routes())) as client:
        assert client.get(f"/tools/lab{RUNS}/{done.id}").json()["count"] == 13
        assert client.get(f"{RUNS}/{done.id}").status_code == 404


# ---- a run over a socket ------------------------------------------------------------------------


def test_a_finished_run_is_told_from_beginning_to_end(client, done):
    with follow(client, done) as socket:
        reader = Reader(socket).to_the_end()
    assert reader.run["type"] == "run" and reader.run["id"] == done.id
    assert reader.count == 13 and reader.code == 1000 and not reader.pictures
    classes = [message["index"] for message, _ in reader.columns.values()]
    assert classes == done.classes and reader.columns[0][0]["role"] == "original"
    assert np.array_equal(reader.log_p(), done.log_p(0, 13, classes))
    scalars = np.array([row for row, _ in reader.rows])
    assert np.array_equal(scalars, done.scalars(0, 13), equal_nan=True)
    assert [s["end"] for s in reader.statuses] == [True]
    assert reader.statuses[0]["sentence"] == done.sentence()


@pytest.mark.parametrize("start", [1, 6, 12, 13])
def test_a_reader_that_comes_back_gets_what_it_lacks_once(client, done, start):
    with follow(client, done, start) as socket:
        reader = Reader(socket, start).to_the_end()
    assert reader.count == 13 and len(reader.rows) == 13 - start
    assert all(len(past) == start for _, past in reader.columns.values())
    assert np.array_equal(reader.log_p(), done.log_p(0, 13, done.classes))


def test_a_run_followed_from_the_start_is_the_run_read_at_the_end(client, engine):
    run = engine.submit(replace(RECIPE, params={"steps": 60, "step_size": 0.5 / 255}), paused=True)
    with follow(client, run) as socket:
        socket.send_json({"do": "resume"})
        reader = Reader(socket).to_the_end()
    assert reader.count == 61
    assert np.array_equal(reader.log_p(), run.log_p(0, 61, run.classes))
    assert reader.statuses[0]["status"] == "paused" and reader.statuses[-1]["status"] == "finished"


@pytest.mark.parametrize("rows", [1, 4, 13])
def test_a_run_longer_than_a_frame_is_told_whole(client, done, monkeypatch, rows):
    monkeypatch.setattr(protocol, "ROWS", rows)
    with follow(client, done) as socket:
        reader = Reader(socket).to_the_end()
    assert reader.count == 13
    assert np.array_equal(reader.log_p(), done.log_p(0, 13, done.classes))


def test_a_reader_may_pause_step_resume_and_stop(client, paused):
    with follow(client, paused) as socket:
        reader = Reader(socket)
        socket.send_json({"do": "step"})
        reader.read(lambda r: r.count == 2 and r.statuses[-1]["status"] == "paused")
        socket.send_json({"do": "resume"})
        reader.read(lambda r: r.count > 10)
        socket.send_json({"do": "pause"})
        reader.read(lambda r: r.statuses[-1]["status"] == "paused")
        socket.send_json({"do": "cancel"})
        reader.to_the_end()
    assert reader.statuses[-1]["reason"] == "cancelled" and reader.count == len(paused)


def test_two_readers_see_each_other_s_commands(client, paused):
    with follow(client, paused) as one, follow(client, paused) as other:
        first, second = Reader(one), Reader(other)
        one.send_json({"do": "step"})
        first.read(lambda r: r.count == 2)
        second.read(lambda r: r.count == 2)
        other.send_json({"do": "cancel"})
        assert first.to_the_end().statuses[-1]["status"] == "cancelled"
        assert second.to_the_end().count == first.count


def test_who_follows_a_run_that_stands_still_hears_of_a_change_at_once(client, engine, paused, monkeypatch):
    """Nobody looks again by the clock here: what is not told at once would never be."""
    endless = SimpleNamespace(**{**vars(anyio), "move_on_after": lambda seconds: anyio.CancelScope()})
    monkeypatch.setattr("app.live.anyio", endless)
    with follow(client, paused) as socket:
        reader = Reader(socket).read(lambda r: r.count == 1 and bool(r.statuses))
        socket.send_json({"do": "look"})
        reader.read(lambda r: len(r.pictures) > 0)
        engine.cancel(paused)
        assert reader.to_the_end().statuses[-1]["status"] == "cancelled"


def test_a_reader_that_leaves_does_not_end_the_run(client, engine, paused):
    with follow(client, paused) as socket:
        Reader(socket).read(lambda r: r.count == 1)
    before = len(paused)
    engine.resume(paused)
    assert paused.wait(before + 20, 30) and paused.status == "running"


def test_a_reader_is_looked_after_as_seldom_as_it_asks_and_misses_nothing(
    client, engine, paused, monkeypatch
):
    move_on_after, waits = anyio.move_on_after, []

    def noted(seconds: float) -> Any:
        waits.append(seconds)
        return move_on_after(seconds)

    monkeypatch.setattr("app.live.anyio", SimpleNamespace(**{**vars(anyio), "move_on_after": noted}))
    with follow(client, paused) as socket:
        reader = Reader(socket).read(lambda r: r.count == 1)
        socket.send_json({"do": "pace", "seconds": 0.001})
        socket.send_json({"do": "resume"})
        reader.read(lambda r: r.count > 5)
        often = set(waits)
        socket.send_json({"do": "pace", "seconds": 0.2})
        reader.read(lambda _: 0.2 in waits)
        socket.send_json({"do": "cancel"})
        reader.to_the_end()
    assert often <= {FRAME, STILL} and reader.count == len(paused)


def test_pictures_come_on_credit_alone_and_the_newest_wins(client, paused):
    with follow(client, paused) as socket:
        reader = Reader(socket).read(lambda r: r.count == 1)
        socket.send_json({"do": "look", "gain": 20})
        reader.read(lambda r: len(r.pictures) == 2)
        assert [(which, step) for which, step, _ in reader.pictures] == [(1, 0), (2, 0)]
        for _ in range(3):
            before = reader.count
            socket.send_json({"do": "step"})
            reader.read(lambda r, n=before: r.count == n + 1 and r.statuses[-1]["status"] == "paused")
        assert len(reader.pictures) == 2
        socket.send_json({"do": "look", "gain": 20})
        reader.read(lambda r: len(r.pictures) == 4)
        assert [(which, step) for which, step, _ in reader.pictures[2:]] == [(1, 3), (2, 3)]
        socket.send_json({"do": "cancel"})
        reader.to_the_end()
    assert len(reader.pictures) == 4
    for _, _, jpeg in reader.pictures:
        assert Image.open(io.BytesIO(jpeg)).size == (small_model.SIZE, small_model.SIZE)


def test_another_gain_or_view_is_another_picture_of_the_same_step(client, paused):
    shown = []
    with follow(client, paused) as socket:
        reader = Reader(socket)
        before = 0
        socket.send_json({"do": "step"})
        reader.read(lambda r: r.count == 2)
        for gain, view in ((10, "signed"), (100, "signed"), (100, "size")):
            before = len(reader.pictures)
            socket.send_json({"do": "look", "gain": gain, "view": view})
            reader.read(lambda r, n=before: len(r.pictures) == n + 2)
            assert reader.pictures[-1][1] == 1
            shown.append(reader.pictures[-2][2])
    assert len(set(shown)) == 3


@pytest.mark.parametrize(
    "nonsense",
    ["not json", "[]", "7", "null", '{"do": "dance"}', '{"do": ["step"]}', "{}", b"\x01\x02",
     '{"do": "look", "gain": null}', '{"do": "look", "gain": "many"}', '{"do": "look", "gain": NaN}',
     '{"do": "pace"}', '{"do": "pace", "seconds": 0}', '{"do": "pace", "seconds": NaN}',
     '{"do": "pace", "seconds": 3}', '{"do": "pace", "seconds": "slow"}'],
)  # fmt: skip
def test_nonsense_is_answered_in_a_sentence_and_the_talk_goes_on(client, paused, nonsense):
    with follow(client, paused) as socket:
        reader = Reader(socket)
        if isinstance(nonsense, bytes):
            socket.send_bytes(nonsense)
        else:
            socket.send_text(nonsense)
        reader.read(lambda r: r.errors)
        assert reader.errors[0][-1] in ".?" and reader.errors[0][0].isupper()
        socket.send_json({"do": "step"})
        reader.read(lambda r: r.count == 2)


@pytest.mark.parametrize("start", ["many", "", "1.5", "-5", "9" * 5000])
def test_a_cursor_that_is_no_number_is_refused_in_a_sentence(client, paused, start):
    with follow(client, paused, start) as socket:
        message = socket.receive_json()
        assert message["type"] == "error" and message["sentence"].startswith("Expected ")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()


def test_a_cursor_beyond_the_run_is_moved_to_its_end(client, done):
    with follow(client, done, 10**9) as socket:
        assert Reader(socket, 13).to_the_end().count == 13
    told = client.get(f"{RUNS}/{done.id}/rows?start=1000").json()
    assert told["start"] == 13 and told["rows"] == []


def test_an_unknown_run_gets_a_sentence_and_a_code(client):
    with client.websocket_connect(f"{RUNS}/unknown/live") as socket:
        message = socket.receive_json()
        assert message["type"] == "error" and "does not know that run" in message["sentence"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 4404


def test_another_site_cannot_listen(client, paused):
    with follow(client, paused, headers=ELSEWHERE) as socket:
        message = socket.receive_json()
        assert message["type"] == "error" and "own origin" in message["sentence"]
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()
    with follow(client, paused, headers={"Origin": "http://testserver"}) as socket:
        assert Reader(socket).run["id"] == paused.id


def test_a_run_that_fails_says_so_to_its_reader(client, engine, gate):
    run = engine.submit(ENDLESS, paused=True)

    def broken(_):
        raise RuntimeError("the plug was pulled")

    with follow(client, run) as socket:
        reader = Reader(socket)
        gate.hook = broken
        socket.send_json({"do": "resume"})
        reader.to_the_end()
    assert (reader.statuses[-1]["status"], reader.code) == ("failed", 1000)
    assert "the plug was pulled" in reader.statuses[-1]["sentence"]


def test_a_fault_of_our_own_is_not_taken_for_a_reader_that_left(client, paused, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such colour")

    monkeypatch.setattr("app.live.picture_frames", broken)
    with pytest.raises(RuntimeError, match="no such colour"), follow(client, paused) as socket:
        socket.send_json({"do": "look", "gain": 20})
        Reader(socket).read(lambda r: r.pictures)


def test_a_server_that_takes_no_frames_any_more_means_that_the_reader_left(client, paused, monkeypatch):
    async def closed(*_):
        raise RuntimeError('Cannot call "send" once a close message has been sent.')

    monkeypatch.setattr("starlette.websockets.WebSocket.send_text", closed)
    with follow(client, paused):
        pass
    assert paused.status == "paused"


# ---- health -------------------------------------------------------------------------------------


def test_health_says_whether_runs_go_on(client, engine, monkeypatch):
    monkeypatch.setattr("app.routes.ready", lambda: False)
    answer = client.get("/foolscope/health")
    assert answer.status_code == 503 and answer.json()["error"] == "The engine is starting."
    monkeypatch.setattr("app.routes.ready", lambda: True)
    answer = client.get("/foolscope/health")
    assert answer.status_code == 200
    assert answer.json() == {"healthy": True, "breaks": 0, "error": "", "jobs": 0}
    engine.close()
    answer = client.get("/foolscope/health")
    assert answer.status_code == 503 and answer.json()["healthy"] is False
