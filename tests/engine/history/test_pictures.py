"""Pictures of runs in a folder, or in a bucket of a real server: the same for readers as those in rows, gone
with their runs, and with a sentence when the store fails."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import sqlalchemy as sa

from engine.engine import Engine
from engine.history import picture_store, pictures, queries, s3
from engine.history.picture_store import FULL, Folder, PictureStore, named, total
from errors import BadSetting, HistoryFailed, UnknownName
from tests.engine.history.test_history import RECIPE, finish, photo, until, write_soon
from tests.support import small_model
from tests.support.picture_stores import FOLDER, bucket, bucket_server, place

__all__ = ["bucket", "bucket_server", "place"]
LONG = replace(RECIPE, params={"steps": 10_000, "step_size": 1 / 2550})
COLUMNS = (("runs", "before"), ("runs", "after"), ("pictures", "array"), ("originals", "png"))
LENGTHS = [f"select coalesce(sum(length({column})), 0) from {table}" for table, column in COLUMNS]
in_a_folder = pytest.mark.parametrize("place", [FOLDER], indirect=True)


@pytest.fixture
def store(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PictureStore:
    write_soon(monkeypatch)
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("FOOLSCOPE_PICTURES", place)
    store = named()
    assert store is not None
    return store


@contextmanager
def server() -> Iterator[Engine]:
    gate = small_model.Gate()
    gate.hook = lambda _: time.sleep(0.003)
    with small_model.engine(gate) as engine:
        yield engine


def names(store: PictureStore) -> set[str]:
    return {entry.name for entry in store.entries()}


def bytes_in_rows(engine: Engine) -> int:
    """Return how many bytes of pictures the database has."""
    with engine.history.database.reading() as connection:
        return sum(int(connection.scalar(sa.text(query)) or 0) for query in LENGTHS)


def problems(engine: Engine) -> str:
    return " ".join(map(str, engine.history.problems()))


def test_a_store_has_what_was_put_there(store):
    assert total(store) == 0 and store.get(["runs/a/1"]) == {}
    store.put({"runs/a/1": b"one", "runs/a/22": b"twenty-two", "originals/f": b"f"})
    store.put({"runs/a/1": b"other"})
    assert store.get(["runs/a/1", "runs/a/2", "originals/f"]) == {"runs/a/1": b"other", "originals/f": b"f"}
    assert names(store) == {"runs/a/1", "runs/a/22", "originals/f"} and total(store) == 5 + 10 + 1
    store.delete(["runs/a/1", "runs/a/22", "runs/nobody/3"])
    assert names(store) == {"originals/f"}
    store.delete([])


def test_more_objects_than_one_request_takes_are_deleted(place, store, monkeypatch):
    monkeypatch.setattr(s3, "A_REQUEST", 2)
    store.put({f"runs/a/{step}": b"x" for step in range(5)})
    store.delete([f"runs/a/{step}" for step in range(4)])
    assert names(store) == {"runs/a/4"}


def test_a_run_and_its_upload_are_the_same_after_a_restart_and_none_of_it_is_in_rows(store):
    with server() as engine:
        run = finish(engine, engine.submit(RECIPE, owner="me"))
        token = engine.uploads.add(photo())
        other = finish(engine, engine.submit(replace(RECIPE, image=token, target=None), owner="me"))
    with server() as engine:
        assert bytes_in_rows(engine) == 0
        back = engine.run(run.id)
        assert back is not run and np.array_equal(back.picture(40), run.picture(40))
        steps = [step for step in range(1, 40) if back.picture_step(step) == step]
        assert len(steps) > 3 and all(np.array_equal(back.delta(step), run.delta(step)) for step in steps)
        assert np.array_equal(engine.run(other.id).picture(40), other.picture(40))
        records = engine.own_runs("me", 9)
        assert all(one.opens and (one.before or b"")[:4] == b"\x89PNG" and one.after for one in records)
        with engine.history.database.reading() as connection:
            size = queries.size(connection)
        large = sum(one.bytes for one in store.entries() if not one.name.endswith(("before", "after")))
        assert size > large > 30_000, "what the limit counts are the pictures, wherever they are"


def test_the_store_has_what_rows_name_and_nothing_is_left_of_a_deleted_run(store):
    with server() as engine:
        token = engine.uploads.add(photo())
        run = engine.submit(replace(LONG, image=token, target=None), owner="me")
        until(lambda: sum(one.steps for one in engine.own_runs("me", 1)) > 60)
        engine.cancel(run)
        until(lambda: engine.history.going_on(run.id) is None)
        other = finish(engine, engine.submit(RECIPE, owner="me"))
        with engine.history.database.reading() as connection:
            rows = connection.execute(sa.text("select run, step from pictures")).all()
        thumbnails = {f"runs/{key}/{name}" for key in (run.id, other.id) for name in ("before", "after")}
        until(lambda: len(names(store)) == len(rows) + 5)  # what was dropped goes a turn later
        assert names(store) > thumbnails | {f"runs/{key}/{step}" for key, step in rows}
        engine.delete_runs("me", [run.id])
        assert {name.split("/")[1] for name in names(store)} == {other.id}
        engine.delete_runs("me")
        assert names(store) == set() and engine.own_runs("me", 9) == []


def test_two_servers_share_a_store(store):
    with server() as here, server() as there:
        run = here.submit(LONG, owner="me")
        until(lambda: sum(one.steps for one in there.own_runs("me", 1)) > 20)
        followed = there.run(run.id)
        assert followed is not run
        reached = len(followed)
        until(lambda: len(followed) > reached + 20)
        step = followed.picture_step(len(followed) - 1)
        assert step > 0 and np.abs(followed.picture(step)).max() > 0
        there.delete_runs("me")  # while the other still writes it
        until(lambda: here.history.going_on(run.id) is None)
        until(lambda: names(store) == set())
        assert here.own_runs("me", 9) == []


def test_what_a_server_left_that_ended_between_two_writes_is_swept(store):
    with server() as engine:
        run = finish(engine, engine.submit(RECIPE, owner="me"))
        until(lambda: not engine.history._pictures.dropped)
        whole = names(store)
        store.put({f"runs/{run.id}/3333": b"left", "runs/nobody/1": b"left", "originals/nobody": b"left"})
        now = max(entry.written for entry in store.entries())
        for later, left in ((60, 3), (2 * pictures.TOO_NEW, 2), (100 * 86_400, 0)):
            with engine.history.database.reading() as connection:
                engine.history._pictures.sweep(connection, now + later, 90 * 86_400)
            assert len(names(store) - whole) == left and names(store) >= whole
        assert len(engine.run(run.id)) == 41


def test_a_picture_that_is_gone_is_a_sentence(store):
    with server() as engine:
        run = finish(engine, engine.submit(RECIPE, owner="me"))
    store.delete([f"runs/{run.id}/40"])
    with server() as engine, pytest.raises(UnknownName, match="got a damaged one. Press Run"):
        engine.run(run.id)


@in_a_folder
def test_runs_from_before_the_setting_are_read_and_those_in_a_store_need_it(store, place, monkeypatch):
    monkeypatch.delenv("FOOLSCOPE_PICTURES")
    with server() as engine:
        old = finish(engine, engine.submit(RECIPE, owner="me"))
        assert bytes_in_rows(engine) > 0 and names(store) == set()
    monkeypatch.setenv("FOOLSCOPE_PICTURES", place)
    with server() as engine:
        new = finish(engine, engine.submit(RECIPE, owner="me"))
        assert len(engine.run(old.id)) == 41 and all(one.before for one in engine.own_runs("me", 9))
    monkeypatch.delenv("FOOLSCOPE_PICTURES")
    with server() as engine:
        with pytest.raises(UnknownName, match="to name the store in which"):
            engine.run(new.id)
        newer, older = engine.own_runs("me", 9)
        assert newer.before is None and older.before and "to name the store" in problems(engine)


@in_a_folder
def test_a_full_folder_and_one_that_is_read_only_are_a_sentence_and_runs_go_on(store, place, monkeypatch):
    with open("/dev/full", "wb") as full, server() as engine:
        monkeypatch.setattr(Path, "write_bytes", lambda *_: full.write(b"x" * 9000))
        run = engine.submit(RECIPE, owner="me")
        assert len(list(engine.follow(run))) == 41 and run.status == "finished"
        until(lambda: FULL in problems(engine))
        monkeypatch.undo()
        monkeypatch.setenv("FOOLSCOPE_HOME", str(Path(place).parent))
        until(lambda: engine.history.pending() == 0 and not problems(engine))
        assert len(engine.own_runs("me", 9)) == 1 and len(names(store)) > 4


@in_a_folder
def test_a_folder_that_is_read_only(store, place):
    Path(place).mkdir()
    Path(place).chmod(0o555)
    rights = os.geteuid()
    with server() as engine:
        engine.own_runs("me", 1)  # the database is opened by whoever may
        if rights == 0:
            Path(place).parent.chmod(0o777)
            for file in Path(place).parent.glob("runs.sqlite*"):
                file.chmod(0o666)
            os.seteuid(65534)  # to root nothing is read-only
        try:
            run = engine.submit(RECIPE, owner="me")
            assert len(list(engine.follow(run))) == 41 and run.status == "finished"
            until(lambda: "got a read-only one" in problems(engine))
        finally:
            os.seteuid(rights)
        Path(place).chmod(0o755)
        until(lambda: engine.history.pending() == 0 and not problems(engine))


def test_a_store_that_is_away_is_a_sentence_and_runs_are_kept_once_it_is_back(
    bucket, bucket_server, tmp_path, monkeypatch
):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("FOOLSCOPE_PICTURES", f"s3://{bucket}")
    with server() as engine:
        first = finish(engine, engine.submit(RECIPE, owner="me"))
        bucket_server.stop()
        try:
            run = engine.submit(RECIPE, owner="me")
            assert len(list(engine.follow(run))) == 41 and run.status == "finished"
            until(lambda: "to answer, got: EndpointConnectionError" in problems(engine))
            (record,) = engine.own_runs("me", 9)
            assert record.id == first.id and record.before is None and record.opens
            with pytest.raises(HistoryFailed, match="to answer, got"):
                engine.delete_runs("me", [first.id])
            assert len(engine.own_runs("me", 9)) == 1, "what cannot be deleted everywhere stays in the list"
        finally:
            bucket_server.start()
        until(lambda: "NoSuchBucket" in problems(engine))  # this server's buckets went with its process
        httpx.put(f"{bucket_server.url}/{bucket}", trust_env=False)
        until(lambda: engine.history.pending() == 0)
        assert {one.id for one in engine.own_runs("me", 9) if one.before} == {run.id}


@pytest.mark.parametrize("place", ["s3://", "s3:///prefix", "gs://bucket/prefix"])
def test_an_address_that_is_none_is_refused(place, monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_PICTURES", place)
    with pytest.raises(BadSetting, match="a folder or the address of a bucket"):
        named()


def test_without_boto3_a_bucket_is_a_sentence(monkeypatch):
    monkeypatch.setenv("FOOLSCOPE_PICTURES", "s3://bucket")
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.delitem(sys.modules, "engine.history.s3", raising=False)
    store = picture_store.named()
    assert store is not None and not isinstance(store, Folder)
    with pytest.raises(HistoryFailed, match=r"pip install -r requirements-s3.txt"):
        store.get(["runs/a/1"])
