"""Every kind of challenge: its score beside one that is computed by hand from the saved bytes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import models
from components.rooms import messages
from engine.rooms.challenges import OFFERS, build, registry
from engine.rooms.competition import MOST_CHALLENGES
from engine.rooms.ranking import standings
from engine.rooms.records import Member
from engine.run import Run
from errors import BadSetting, BadTarget, FoolscopeError, UnknownName
from tests.engine.rooms.conftest import Class, pixels
from tests.support.postgresql import both

SURE: dict[str, Any] = {"epsilon": 0.3, "step_size": 0.02, "steps": 30}


def changed(lesson: Class, run: Run, finished: bool = True) -> np.ndarray:
    """Return by how many grey levels a run's file differs from its start: ``(h, w, c)``."""
    before = np.round(run.start * 255).transpose(1, 2, 0)
    return pixels(lesson.file(run, finished)).astype(float)[..., : before.shape[2]] - before


def logits(lesson: Class, model: str, picture: Image.Image) -> torch.Tensor:
    """Return what a network says of a picture, put in by hand."""
    card = models.card(model)
    mode = "L" if card.channels == 1 else "RGB"
    small = picture.convert(mode).resize((card.size, card.size), Image.Resampling.BILINEAR)
    levels = np.asarray(small, np.float32).reshape(card.size, card.size, -1).transpose(2, 0, 1) / 255
    answer: torch.Tensor = lesson.engine.model(model)(torch.from_numpy(levels.copy())[None])
    return answer[0]


@pytest.fixture
def anna(lesson: Class) -> Member:
    return lesson.join("Anna")


def test_fewest_pixels_counts_each_pixel_once(lesson: Class, anna: Member) -> None:
    challenge = lesson.set("fewest_pixels", model="photos", image="cat")
    run = lesson.run(anna, "photos", "cat", "sigma_zero", steps=12)
    judged = lesson.hand_in(anna, challenge, run)
    differs = (changed(lesson, run) != 0).any(2)
    assert judged.counts and judged.score == differs.sum() < 128 * 128 / 4


def test_survives_jpeg_takes_the_file_through_a_jpeg(lesson: Class, anna: Member) -> None:
    challenge = lesson.set("survives_jpeg", model="lenet", image="seven", target="9", quality=75)
    more: dict[str, Any] = {"target": 9, "survives": ("jpeg75",)}
    hardy = lesson.run(anna, "lenet", "seven", "mi_fgsm", **SURE, **more)
    judged = lesson.hand_in(anna, challenge, hardy)
    file = io.BytesIO()
    Image.fromarray(pixels(lesson.file(hardy))).convert("L").save(file, "JPEG", quality=75)
    assert int(logits(lesson, "lenet", Image.open(file)).argmax()) == 9 and judged.label == "9"
    assert judged.score == pytest.approx(np.linalg.norm(changed(lesson, hardy)) / 255)
    frail = lesson.run(anna, "lenet", "seven", "ddn", target=9, steps=40)
    judged = lesson.hand_in(anna, challenge, frail)
    assert not judged.counts and judged.template.startswith("It does not count: saved as JPEG {quality}")
    assert judged.facts["quality"] == 75 and judged.facts["label"] != "9"


def test_the_hidden_network_judges_and_is_named_nowhere(lesson: Class, anna: Member) -> None:
    challenge = lesson.set("hidden_model", model="lenet", image="seven", hidden="fc100")
    strong = lesson.run(anna, "lenet", "seven", "mi_fgsm", **SURE)
    judged = lesson.hand_in(anna, challenge, strong)
    theirs = logits(lesson, "fc100", Image.fromarray(pixels(lesson.file(strong))))
    assert judged.counts and judged.label == str(int(theirs.argmax())) != "7"
    assert judged.score == pytest.approx(np.linalg.norm(changed(lesson, strong)) / 255)
    small = lesson.run(anna, "lenet", "seven", "mi_fgsm", epsilon=0.1, step_size=0.02, steps=10)
    near = lesson.hand_in(anna, challenge, small)
    fooled = int(logits(lesson, "fc100", Image.fromarray(pixels(lesson.file(small)))).argmax()) != 7
    assert near.counts == fooled
    for language in ("en", "zh"):
        told = str(messages.room(lesson.room, language)) + str(judged.facts) + str(near.said)
        assert "fc100" not in told.lower()
    assert challenge.settings["hidden"] == "fc100"


def test_out_of_the_family_is_the_lead_of_the_best_outside(lesson: Class, anna: Member) -> None:
    challenge = lesson.set("out_of_family", model="photos", image="cat", family="animals", levels=8)
    run = lesson.run(anna, "photos", "cat", "mi_fgsm", epsilon=8 / 255, steps=10, target=31)
    judged = lesson.hand_in(anna, challenge, run)
    answer = logits(lesson, "photos", Image.fromarray(pixels(lesson.file(run)))).numpy()
    labels = np.array(models.card("photos").labels)
    animals = np.arange(len(labels)) < list(labels).index("seashell")
    animals &= labels != "face"
    assert judged.counts and not animals[labels == judged.label].any()
    assert judged.score == pytest.approx(answer[~animals].max() - answer[animals].max(), abs=1e-3)
    wide = lesson.run(
        anna, "photos", "cat", "mi_fgsm", epsilon=16 / 255, step_size=4 / 255, steps=10, target=31
    )
    judged = lesson.hand_in(anna, challenge, wide)
    assert not judged.counts and judged.facts == {
        "got": round(np.abs(changed(lesson, wide)).max()),
        "most": 8,
    }
    cougar = lesson.run(anna, "photos", "cat", "bim", epsilon=4 / 255, steps=3)
    judged = lesson.hand_in(anna, challenge, cougar)
    assert not judged.counts and judged.facts["label"] == "cougar"


def test_dogs_are_the_118_classes_of_the_tour() -> None:
    kind = build("out_of_family", OFFERS["no_dog"].settings)
    labels = models.card("efficientnet_lite0").labels
    assert kind.facts()["count"] == 118
    assert {"Chihuahua", "Mexican hairless", "German shepherd"} <= {labels[i] for i in range(151, 269)}
    with pytest.raises(BadTarget):
        build("out_of_family", dict(OFFERS["no_dog"].settings) | {"target": "malinois"})


def test_all_that_are_offered_can_be_set_with_what_ships(lesson: Class) -> None:
    assert {offer.kind for offer in OFFERS.values()} == set(registry())
    for offer in OFFERS.values():
        lesson.competition.add(lesson.engine, lesson.room, offer.kind, offer.settings, offer.title)
    room = lesson.room
    assert [each.title for each in room.challenges] == [offer.title for offer in OFFERS.values()]
    assert [each.number for each in room.challenges] == [1, 2, 3, 4, 5, 6] and all(
        c.open for c in room.challenges
    )
    assert {"efficientnet_lite0", "photos", "lenet"} == set(room.allowed.models)
    for each in messages.room(room, "en")["challenges"]:
        assert each["query"]["attack"] in room.allowed.attacks and "{" not in each["rule"]
        chinese = messages.room(room, "zh")["challenges"][0]
        assert chinese["title"] == "从熊猫到秃鹫，最小的一步" and "秃鹫" in chinese["rule"]


@pytest.mark.parametrize(
    ("kind", "settings", "error"),
    [
        ("no_such", {"model": "lenet", "image": "seven"}, UnknownName),
        ("least_l2", {"model": "lenet"}, BadSetting),
        ("least_l2", {"model": "lenet", "image": "upload:x"}, UnknownName),
        ("least_l2", {"model": "lenet", "image": "seven", "target": 3}, BadSetting),
        ("least_l2", {"model": "lenet", "image": "seven", "target": "7"}, BadTarget),
        ("least_l2", {"model": "lenet", "image": "seven", "votes": 0}, BadSetting),
        ("least_l2", {"model": "lenet", "image": "seven", "votes": True}, BadSetting),
        ("survives_jpeg", {"model": "lenet", "image": "seven", "quality": 96}, BadSetting),
        ("hidden_model", {"model": "lenet", "image": "seven"}, UnknownName),
        ("hidden_model", {"model": "lenet", "image": "seven", "hidden": "lenet"}, BadSetting),
        ("hidden_model", {"model": "lenet", "image": "seven", "hidden": "photos"}, BadSetting),
        ("out_of_family", {"model": "photos", "image": "cat", "family": "dogs"}, UnknownName),
        ("out_of_family", {"model": "photos", "image": "cat", "family": "vehicles"}, BadTarget),
    ],
)
def test_settings_that_make_no_challenge_are_refused(
    lesson: Class, kind: str, settings: dict[str, Any], error: type[FoolscopeError]
) -> None:
    with pytest.raises(error):
        lesson.competition.add(lesson.engine, lesson.room, kind, settings)
    assert lesson.room.challenges == ()


def test_a_network_that_the_room_allows_cannot_be_hidden(lesson: Class) -> None:
    with pytest.raises(BadSetting):
        lesson.set("hidden_model", model="fc100", image="seven", hidden="lenet")


@both
def test_challenges_are_closed_and_removed_with_what_was_handed_in(lesson: Class, anna: Member) -> None:
    first, second = (lesson.set("least_l2", model="lenet", image="seven") for _ in range(2))
    run = lesson.run(anna, "lenet", "seven", **SURE)
    assert lesson.hand_in(anna, first, run).counts and lesson.hand_in(anna, second, run).counts
    lesson.competition.switch(lesson.room, first.id, False)
    assert [each.open for each in lesson.room.challenges] == [False, True]
    lesson.competition.remove(lesson.room, first.id)
    assert [each.id for each in lesson.room.challenges] == [second.id]
    assert [each.challenge for each in lesson.competition.submissions(lesson.code)] == [second.id]
    for _ in range(MOST_CHALLENGES - 1):
        lesson.set("least_l2", model="lenet", image="seven")
    with pytest.raises(BadSetting):
        lesson.set("least_l2", model="lenet", image="seven")


@both
def test_the_best_of_each_is_ranked_and_of_equals_the_earlier_whatever_the_clock_says(
    lesson: Class, anna: Member
) -> None:
    challenge = lesson.set("least_l2", model="lenet", image="seven")
    ben, chen = lesson.join("Ben"), lesson.join("Chen")
    now = [2000.0]
    lesson.rooms.clock = lambda: now[0]
    small: dict[str, Any] = {"epsilon": 0.25, "step_size": 0.02, "steps": 30}
    big: dict[str, Any] = {"epsilon": 0.5, "step_size": 0.05, "steps": 30}
    lesson.hand_in(anna, challenge, lesson.run(anna, "lenet", "seven", **big))
    lesson.hand_in(ben, challenge, lesson.run(ben, "lenet", "seven", **small))
    now[0] = 1000.0  # set back
    same = lesson.hand_in(chen, challenge, lesson.run(chen, "lenet", "seven", **small))
    lesson.hand_in(chen, challenge, b"")
    everybody = [member.id for member in lesson.rooms.members(lesson.code)]
    ahead = standings(lesson.competition, lesson.room, everybody)[challenge.id]
    assert [row.member for row in ahead] == [ben.id, chen.id, anna.id] and [row.rank for row in ahead] == [
        1,
        2,
        3,
    ]
    assert ahead[0].score == ahead[1].score == same.score < ahead[2].score
    assert [row.attempts for row in ahead] == [1, 2, 1]
    lesson.hand_in(anna, challenge, lesson.run(anna, "lenet", "seven", **small))
    ahead = standings(lesson.competition, lesson.room, everybody)[challenge.id]
    assert [row.member for row in ahead] == [ben.id, chen.id, anna.id] and ahead[2].score == same.score
    ahead = standings(lesson.competition, lesson.room, everybody[:1])[challenge.id]
    assert [row.member for row in ahead] == [anna.id]
