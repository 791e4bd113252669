"""What members hand in, in a folder, in a bucket of a real server, and where PostgreSQL has the rows."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.history.database import Database
from engine.history.picture_store import PictureStore, named
from engine.history.pictures import TOO_NEW, Pictures
from engine.rooms.archive import pieces
from engine.rooms.competition import Competition, Submission
from engine.rooms.rooms import Rooms
from errors import HistoryFailed, UnknownName
from tests.engine.rooms.conftest import Class
from tests.engine.rooms.test_judge import SURE
from tests.support.picture_stores import FOLDER, bucket, bucket_server, place
from tests.support.postgresql import SQLITE, both

__all__ = ["bucket", "bucket_server", "place"]


LEFT = "handed_in/nobody"
in_a_folder = pytest.mark.parametrize("place", [FOLDER], indirect=True)


@pytest.fixture
def store(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PictureStore:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("FOOLSCOPE_PICTURES", place)
    made = named()
    assert made is not None
    return made


@pytest.fixture
def done(store: PictureStore, lesson: Class) -> Submission:
    return handed_in(lesson)


def handed_in(lesson: Class) -> Submission:
    """Let somebody new hand in a picture that counts, for a new challenge."""
    anna, challenge = lesson.join("Anna"), lesson.set("least_l2", model="lenet", image="seven")
    submission: Submission = lesson.hand_in(anna, challenge, lesson.run(anna, "lenet", "seven", **SURE))
    assert submission.counts, submission.said
    return submission


def hand_in_again(lesson: Class, submission: Submission, data: bytes) -> Submission:
    """Let who handed in ``submission`` hand in a file for the same challenge."""
    (member,) = (one for one in lesson.rooms.members(lesson.code) if one.id == submission.member)
    again: Submission = lesson.judge.hand_in_file(lesson.room, member, submission.challenge, data)
    return again


def names(store: PictureStore) -> set[str]:
    return {entry.name for entry in store.entries()}


def in_rows(database: Database) -> int:
    """Return how many bytes of pictures the rows of submissions have."""
    with database.reading() as connection:
        return int(connection.scalar(sa.text("select sum(length(png)) from room_submissions")) or 0)


def test_a_picture_is_in_the_store_and_not_in_its_row(
    store: PictureStore, lesson: Class, done: Submission, address: str
) -> None:
    assert names(store) == {f"handed_in/{done.id}"} and in_rows(lesson.rooms.database) == 0
    after = Competition(Rooms(Database(address)))
    png = after.png(done.id)
    assert png == lesson.competition.png(done.id) and png[:4] == b"\x89PNG"
    again = hand_in_again(lesson, done, png)
    assert not again.counts and len(names(store)) == 1
    with pytest.raises(UnknownName, match="a picture of this room"):
        after.png(again.id)
    after.database.close()


def test_the_same_picture_that_comes_twice_at_once_is_there_once(
    store: PictureStore, lesson: Class, done: Submission
) -> None:
    late = lesson.competition.keep(replace(done, id="late", number=done.number + 1), b"the same")
    assert not late.counts and names(store) == {f"handed_in/{done.id}"}


def test_an_archive_has_what_counts_and_is_there(
    store: PictureStore, lesson: Class, done: Submission
) -> None:
    hand_in_again(lesson, done, b"no picture")
    opened = packed(lesson)
    (file,) = pictures_in(opened)
    assert opened.read(file) == lesson.competition.png(done.id)
    lines = opened.read("submissions.csv").decode("utf-8-sig").splitlines()
    assert lines[1].endswith(f",{file}") and lines[2].endswith(",")
    store.delete([f"handed_in/{done.id}"])
    assert pictures_in(packed(lesson)) == []


def packed(lesson: Class) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(pieces(lesson.engine, lesson.rooms, lesson.room))))


def pictures_in(opened: zipfile.ZipFile) -> list[str]:
    return [name for name in opened.namelist() if name.startswith("submissions/")]


def test_it_goes_with_its_challenge_and_with_its_room(
    store: PictureStore, lesson: Class, done: Submission
) -> None:
    lesson.competition.remove(lesson.room, done.challenge)
    assert names(store) == set()
    other = handed_in(lesson)
    assert names(store) == {f"handed_in/{other.id}"}
    lesson.rooms.end(lesson.code)
    assert names(store) == set()


def test_what_no_row_names_is_swept(store: PictureStore, lesson: Class, done: Submission) -> None:
    store.put({LEFT: b"left"})
    mine, days = f"handed_in/{done.id}", 90 * 86_400
    written = max(entry.written for entry in store.entries())
    for later, there in ((TOO_NEW, {mine, LEFT}), (days + 60, {mine})):
        with lesson.rooms.database.reading() as connection:
            Pictures(store).sweep(connection, written + later, days)
        assert names(store) == there


@in_a_folder
def test_a_room_of_a_store_that_is_named_no_more_says_so(
    store: PictureStore, lesson: Class, done: Submission, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FOOLSCOPE_PICTURES")
    after = Competition(Rooms(Database(address)))
    with pytest.raises(HistoryFailed, match="to name the store in which that picture is"):
        after.png(done.id)
    after.database.close()


@pytest.fixture
def without_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    monkeypatch.delenv("FOOLSCOPE_PICTURES", raising=False)


@both
def test_postgresql_never_has_a_picture_in_its_rows(
    without_a_store: None, lesson: Class, tmp_path: Path
) -> None:
    done = handed_in(lesson)
    outside = {path.name for path in (tmp_path / "pictures" / "handed_in").glob("*")}
    in_the_row = lesson.rooms.database.kind == SQLITE
    assert (in_rows(lesson.rooms.database) > 0) == in_the_row
    assert outside == (set() if in_the_row else {done.id})
    assert lesson.competition.png(done.id)[:4] == b"\x89PNG"
