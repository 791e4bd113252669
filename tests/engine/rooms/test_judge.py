"""What is handed in counts by its pixels alone; every trick is caught and named."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from engine.export import carried
from engine.export.making import Wanted
from engine.images.sources import examine
from engine.rooms.challenges.fewest_queries import GRADIENTS
from engine.rooms.competition import REPLAY, Submission
from engine.rooms.judge import (
    ANOTHER_START,
    CLOSED,
    EDITED,
    FINISHED,
    FOREIGN,
    LARGE,
    MOST_BYTES,
    NO_PNG,
    SIZE,
)
from engine.rooms.permission import FROZEN
from engine.rooms.records import Challenge, Member
from engine.run import Run
from errors import BadSetting, NotAllowed, UnknownName
from models.core import Crop
from tests.engine.rooms.conftest import Class, pixels
from tests.support.postgresql import both

SURE: dict[str, Any] = {"epsilon": 0.3, "step_size": 0.02, "steps": 20}


@pytest.fixture
def challenge(lesson: Class) -> Challenge:
    return lesson.set("least_l2", model="lenet", image="seven")


@pytest.fixture
def anna(lesson: Class) -> Member:
    return lesson.join("Anna")


@pytest.fixture
def run(lesson: Class, anna: Member) -> Run:
    return lesson.run(anna, "lenet", "seven", **SURE)


def png(picture: Image.Image, text: str = "") -> bytes:
    """Return a PNG, with what it says of itself if there is any."""
    file, chunks = io.BytesIO(), PngImagePlugin.PngInfo()
    if text:
        chunks.add_itxt("foolscope", text)
    picture.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def painted(data: bytes, at: tuple[int, int] = (3, 3)) -> Image.Image:
    """Return a file's picture with one pixel changed by a single grey level."""
    levels = pixels(data).copy()
    levels[at] = np.where(levels[at] < 255, levels[at] + 1, levels[at] - 1)
    return Image.fromarray(levels)


def refused(submission: Submission, template: str) -> Submission:
    assert (submission.template, submission.counts, submission.score) == (template, False, None)
    return submission


def test_a_run_is_measured_by_the_pixels_of_its_file(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    judged = lesson.hand_in(anna, challenge, run)
    assert (
        judged.counts and judged.run == run.id and judged.template == "It counts: the network says {label}."
    )
    after = pixels(lesson.file(run)).astype(float)[..., 0]
    before = np.round(run.start[0] * 255)
    assert np.isclose(judged.score, np.sqrt(((after - before) ** 2).sum()) / 255)
    assert (
        judged.label == lesson.engine.export(run, Wanted("network", len(run) - 1, True)).verdict.label != "7"
    )
    stored = lesson.competition.png(judged.id)
    assert np.array_equal(pixels(stored), pixels(lesson.file(run)))
    assert b"foolscope" in lesson.file(run) and b"foolscope" not in stored


def test_the_downloaded_file_counts_as_the_run_does_and_so_without_what_it_says(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    data = lesson.file(run)
    bare = lesson.hand_in(anna, challenge, png(Image.fromarray(pixels(data))))
    assert bare.counts and bare.run == run.id
    other = lesson.set("least_l2", model="lenet", image="seven")
    assert (
        lesson.hand_in(anna, other, data).score
        == bare.score
        == lesson.hand_in(anna, lesson.set("least_l2", model="lenet", image="seven"), run).score
    )


def test_the_same_picture_again_is_a_replay_however_it_comes(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    first = lesson.hand_in(anna, challenge, run)
    data = lesson.file(run)
    for again in (run, data, png(Image.fromarray(pixels(data))), png(Image.fromarray(pixels(data)), "{}")):
        assert refused(lesson.hand_in(anna, challenge, again), REPLAY).facts == {"number": first.number}
    assert len(lesson.competition.submissions(lesson.code)) == 5
    assert [each.id for each in lesson.competition.submissions(lesson.code, counting=True)] == [first.id]


@both
def test_somebody_elses_picture_is_known_from_its_submission_its_download_or_its_recipe(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    ben = lesson.join("Ben")
    data = lesson.file(run)
    lesson.judge.note(run, lesson.engine.export(run, Wanted("network", len(run) - 1, True)), True)
    bare = png(Image.fromarray(pixels(data)))
    for copied in (data, bare):
        refused(lesson.hand_in(ben, challenge, copied), FOREIGN)
    assert lesson.hand_in(anna, challenge, data).counts
    refused(lesson.hand_in(ben, challenge, bare), FOREIGN)
    with pytest.raises(UnknownName):
        lesson.hand_in(ben, challenge, run)


def test_the_same_recipe_carried_out_by_oneself_counts_and_the_first_is_ahead(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    ben = lesson.join("Ben")
    assert lesson.hand_in(anna, challenge, run).counts
    same = lesson.run(ben, "lenet", "seven", **SURE)
    assert lesson.hand_in(ben, challenge, lesson.file(same)).counts


def test_edited_files_are_caught(lesson: Class, anna: Member, challenge: Challenge, run: Run) -> None:
    data = lesson.file(run)
    picture = Image.fromarray(pixels(data))
    refused(lesson.hand_in(anna, challenge, png(painted(data))), EDITED)
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=95)
    refused(lesson.hand_in(anna, challenge, png(Image.open(jpeg))), EDITED)
    refused(lesson.hand_in(anna, challenge, jpeg.getvalue()), NO_PNG)
    wrong = refused(lesson.hand_in(anna, challenge, png(picture.resize((56, 56)))), SIZE)
    assert wrong.facts == {"side": 28, "width": 56, "height": 56}
    original = png(Image.fromarray(np.round(run.start[0] * 255).astype(np.uint8)))
    refused(lesson.hand_in(anna, challenge, original), EDITED)


def test_a_file_that_lies_about_itself_gains_nothing(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    edited = painted(lesson.file(run))
    true = examine(lesson.file(run)).carried
    assert true is not None
    lie = replace(true, pixels=carried.digest(edited), verdict={"label": "3", "success": True, "l2": 0.0})
    refused(lesson.hand_in(anna, challenge, carried.encode(edited, "png", lie)), EDITED)
    for text in ("{", "[1, 2]", json.dumps({"version": 1}), json.dumps({"run": run.id}), "x" * 100_000):
        refused(lesson.hand_in(anna, challenge, png(edited, text)), EDITED)
    # The lie about the kind and the digest does not change what the network sees of true pixels either.
    other = replace(true, kind="photo", original="0" * 64)
    assert lesson.hand_in(
        anna, challenge, carried.encode(Image.fromarray(pixels(lesson.file(run))), "png", other)
    ).counts


@pytest.mark.parametrize(
    ("data", "template"),
    [
        (b"", NO_PNG),
        (b"hello", NO_PNG),
        (b"\x89PNG\r\n\x1a\n", SIZE),
        (b"\x89PNG\r\n\x1a\n" + bytes(20 * 2**20), LARGE),
        (b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (28).to_bytes(4) * 2 + b"\x08\x02\0\0\0" + bytes(50), None),
    ],
    ids=["nothing", "text", "a beginning", "20 MB", "a damaged one"],
)
def test_what_is_no_picture_is_an_attempt_that_does_not_count(
    lesson: Class, anna: Member, challenge: Challenge, data: bytes, template: str | None
) -> None:
    judged = lesson.hand_in(anna, challenge, data)
    assert not judged.counts and (template is None or judged.template == template)
    assert judged.template.format(**judged.facts)
    assert [each.number for each in lesson.competition.submissions(lesson.code)] == [1]
    assert len(data) <= MOST_BYTES or template == LARGE


def test_a_run_that_began_elsewhere_does_not_count(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    """An edited picture that is sent as an upload and attacked a little comes out as an own run's."""
    edited = lesson.engine.uploads.add(png(painted(lesson.file(run))))
    washed = lesson.run(anna, "lenet", edited, epsilon=0.0, steps=1)
    refused(lesson.hand_in(anna, challenge, washed), ANOTHER_START)
    refused(lesson.hand_in(anna, challenge, lesson.run(anna, "lenet", "three", **SURE)), ANOTHER_START)
    zoomed = lesson.run(anna, "lenet", "seven", crop=Crop(0.5, 0.5, 0.8), **SURE)
    refused(lesson.hand_in(anna, challenge, zoomed), ANOTHER_START)


def test_a_run_that_does_not_fool_does_not_count(lesson: Class, anna: Member, challenge: Challenge) -> None:
    weak = lesson.run(anna, "lenet", "seven", epsilon=1 / 255, step_size=1 / 255, steps=1)
    judged = refused(
        lesson.hand_in(anna, challenge, weak), "It does not count: the network still says {label}."
    )
    assert judged.facts == {"label": "7"}
    aimed = lesson.set("least_l2", model="lenet", image="seven", target="0")
    judged = lesson.hand_in(anna, aimed, lesson.run(anna, "lenet", "seven", **SURE))
    assert judged.facts["goal"] == "0" and judged.facts["label"] not in ("0", "7") and not judged.counts


def test_a_finish_with_gradients_is_none_without_them(lesson: Class, anna: Member) -> None:
    asking = lesson.set("fewest_queries", model="lenet", image="seven")
    run = lesson.run(anna, "lenet", "seven", "simba", stop="success", steps=400)
    rounded, finished = lesson.file(run, finished=False), lesson.file(run)
    assert not np.array_equal(pixels(rounded), pixels(finished))
    refused(lesson.hand_in(anna, asking, finished), FINISHED)
    judged = lesson.hand_in(anna, asking, rounded)
    assert judged.counts and judged.score == run.queries >= len(run)
    white = lesson.run(anna, "lenet", "seven", **SURE)
    judged = refused(lesson.hand_in(anna, asking, white), GRADIENTS)
    assert judged.facts == {"count": white.gradient_evaluations}


def test_when_nothing_can_be_handed_in(lesson: Class, anna: Member, challenge: Challenge, run: Run) -> None:
    lesson.competition.switch(lesson.room, challenge.id, False)
    with pytest.raises(NotAllowed, match=CLOSED):
        lesson.hand_in(anna, challenge, run)
    lesson.competition.switch(lesson.room, challenge.id, True)
    lesson.rooms.change(lesson.code, frozen=True)
    with pytest.raises(NotAllowed, match=FROZEN):
        lesson.hand_in(anna, challenge, run)
    lesson.rooms.change(lesson.code, frozen=False)
    with pytest.raises(UnknownName):
        lesson.judge.hand_in_run(lesson.room, anna, "no-such-challenge", run.id)
    assert lesson.hand_in(anna, challenge, run).counts


def test_a_run_that_goes_on_cannot_be_handed_in(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    waiting = lesson.engine.submit(run.recipe, paused=True, owner=anna.owner)
    lesson.rooms.note_run(anna, waiting.id)
    with pytest.raises(BadSetting):
        lesson.hand_in(anna, challenge, waiting)
    lesson.engine.cancel(waiting)


@both
def test_a_button_pressed_many_times_at_once_hands_in_once(
    lesson: Class, anna: Member, challenge: Challenge, run: Run
) -> None:
    with ThreadPoolExecutor(8) as pool:
        judged = list(pool.map(lambda _: lesson.hand_in(anna, challenge, run), range(8)))
    assert sorted(each.template for each in judged if not each.counts) == [REPLAY] * 7
    assert sorted(each.number for each in judged) == list(range(1, 9))


@both
def test_it_all_goes_with_the_room(lesson: Class, anna: Member, challenge: Challenge, run: Run) -> None:
    judged = lesson.hand_in(anna, challenge, run)
    lesson.rooms.change(lesson.code, judging=True)
    ben = lesson.join("Ben")
    ballot = lesson.votes.next(lesson.room, ben)
    assert ballot
    lesson.votes.vote(lesson.room, ben, ballot.picture, "7")
    lesson.rooms.end(lesson.code)
    assert lesson.competition.submissions(lesson.code) == []
    assert lesson.competition.files(lesson.code, judged.pixels) == [] and lesson.votes.judged(ben) == 0
