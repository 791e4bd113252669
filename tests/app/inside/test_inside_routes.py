"""The section “Look inside” over HTTP: lines as they come, refusals, turns, an end with the reader."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace

import anyio
import numpy as np
import pytest
import torch
from PIL import Image

from app import service
from app.inside import shelf
from app.inside.looking import Look
from app.inside.streaming import LinesResponse, Turns
from attacks.contract import Stop
from components.i18n.text import phrases
from engine.inside import words
from engine.inside.layers import LayerProfile
from engine.inside.saliency import GRAD_CAM, GRADIENT_ATTENTION, METHODS, ROLLOUT
from engine.recipe import Recipe
from errors import FoolscopeError
from models.core import Classifier
from tests.support import event_loop, live_phrases, small_model
from tests.support.browser import until

RUNS = "/foolscope/runs"


def logit(picture, label):
    """Return a logit of the small network, asked by itself."""
    with torch.no_grad():
        return float(small_model.SmallNet()((torch.tensor(picture)[None] - 0.5) / 0.25)[0, label])


def profile(run, photo):
    """Return the profile of the small network at the last step of a run, asked by itself."""
    network = Classifier(small_model.card(), small_model.SmallNet())
    *_, answer = LayerProfile(run.picture(0), run.picture(len(run) - 1), photo).pieces(network)
    return answer


class Reader:
    """The ends of a connection: what was sent, and a reader who may leave."""

    def __init__(self):
        self.sent, self.gone = [], anyio.Event()

    async def receive(self):
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message.get("body", b""))


def counting(noted, most=10**9):
    """Yield numbered lines; note when that ends."""
    try:
        for number in range(most):
            time.sleep(0.005)
            yield {"number": number}
    finally:
        noted.append("closed")


def test_maps_of_two_classes_come_with_the_check_beside_them(client, gate):
    heard = client.lines("saliency", step=6, method="grad_cam")
    assert heard[0]["labels"] == {"original": f"class {client.run.original}", "other": "class 2"}
    maps = {(line["row"], line["column"]): line for line in heard if line["type"] == "map"}
    assert len(maps) == 6 and {line["layer"] for line in maps.values()} == {"body.2"}
    for (row, column), line in maps.items():
        label = client.run.original if row == "original" else 2
        known = logit(client.run.picture(0 if column == "clean" else 6), label)
        assert (line["logit"] == pytest.approx(known, abs=1e-3)) == (column != "shuffled")
    assert heard[-1] == {"type": "end"} and len([x for x in heard if x["type"] == "sanity"]) == 2
    asked = len(gate.batches)
    assert client.lines("saliency", step=6, method="grad_cam") == heard and len(gate.batches) == asked


def test_a_network_of_attention_refuses_grad_cam_and_offers_rollout(attentive):
    plan, refused = attentive.lines("saliency", step=6)
    assert "Take attention rollout instead" in refused["sentence"]
    assert set(plan["methods"]) == set(METHODS) - {GRAD_CAM}
    heard = attentive.lines("saliency", step=6, method=ROLLOUT)
    maps = [line for line in heard if line["type"] == "map"]
    assert [(one["row"], one["column"]) for one in maps] == [
        ("original", column) for column in ("clean", "now", "shuffled")
    ]
    assert 0 < maps[0]["total"] < 1 and heard[-1] == {"type": "end"}
    assert [line["row"] for line in heard if line["type"] == "share"] == ["original"]
    by_class = attentive.lines("saliency", step=6, method=GRADIENT_ATTENTION)
    assert len([line for line in by_class if line["type"] == "map"]) == 6
    *_, written, _ = attentive.lines("words", step=6)
    (rests,) = [one["rests"] for one in written["clauses"] if one["rests"][0] == words.SHARES]
    assert rests[1]["method"] == "gradient x attention"


def test_a_convolutional_network_says_that_rollout_means_nothing_there(client):
    plan, *_, refused = client.lines("saliency", step=6, method=ROLLOUT)
    assert plan["methods"] == list(METHODS[:3]) and "passes nothing on by attention" in refused["sentence"]


def test_a_picture_that_parts_is_told_by_layers_and_channels(client):
    heard = client.lines("layers", step=6)
    heading, now = heard[0], heard[1]
    assert [layer["kind"] for layer in heading["layers"]] == ["Conv2d", "Tanh", "Conv2d", "Tanh", "Linear"]
    assert now["step"] == 6 and len(now["changed"]["cosine"]) == 5 and now["changed"]["l2"][-1] > 0.01
    assert now["changed"]["l2"][-1] > now["noise"]["l2"][-1]  # the attack does more than noise
    (channels,) = [line for line in heard if line["type"] == "channels"]
    assert channels["layer"] == 3 and len(channels["channels"]) == 4
    assert all(len(one["patches"]) == 4 for one in channels["channels"])
    steps = [line["step"] for line in heard if line["type"] == "profile"]
    assert set(steps) == set(range(1, 7))
    (other,) = [line for line in client.lines("layers", step=6, layer=0) if line["type"] == "channels"]
    assert other["layer"] == 0 and other["pixels"] == 4  # a place of the first convolution sees 3 x 3 pixels


def test_a_picture_of_the_targets_class_is_chosen(client):
    heading = client.lines("layers", step=6)[0]
    names = [one["name"] for one in heading["photos"]]
    assert len(names) > 1 and heading["photo"] == names[0] and "cat" not in names
    for name in names[:2]:
        heading, now, *_ = client.lines("layers", step=6, photo=name)
        assert heading["photo"] == name
        picture = next(one.picture for one in shelf.pictures("small") if one.name == name)
        known = profile(client.run, picture)
        assert now["photo"]["cosine"] == pytest.approx(known.photo.cosine.tolist(), abs=1e-5)
    other = next(one.name for one in shelf.pictures("small") if one.name not in names)
    assert client.lines("layers", step=6, photo=other)[0]["photo"] == names[0]  # it is of another class
    (refused,) = client.lines("layers", step=6, photo="nobody")
    assert "nobody" in refused["sentence"]


def test_a_picture_that_somebody_brought_is_compared_with(client):
    engine, picture = service.engine(), np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    recipe = Recipe("small", engine.uploads.add(file.getvalue()), "bim", {"steps": 1}, stop=Stop("steps"))
    other = engine.submit(recipe, owner="me")
    list(engine.follow(other))
    until(lambda: any(record.opens for record in engine.own_runs("me", 9)), "the run to be kept")
    mine, nobodys = (Look(engine, client.run, "layers", 6, {}, owner=owner) for owner in ("me", ""))
    shown = {one.name: one.picture for one in shelf.of_class(mine, other.original)}
    assert np.array_equal(shown[f"run:{other.id}"], other.start)
    assert f"run:{other.id}" not in {one.name for one in shelf.of_class(nobodys, other.original)}
    assert all(one.name[:4] != "run:" for one in shelf.of_class(mine, (other.original + 1) % 6))
    chosen = shelf.chosen(replace(mine, query={"photo": f"run:{other.id}"}), other.original)
    assert chosen is not None and chosen.name == f"run:{other.id}"


def test_the_words_compare_with_the_picture_that_was_chosen(client):
    names = [one["name"] for one in client.lines("layers", step=6)[0]["photos"]]

    def rests(name):
        *_, written, _ = client.lines("words", step=6, photo=name)
        return next(one["rests"] for one in written["clauses"] if one["rests"][0] == words.ANGLES)

    assert rests(names[0]) != rests(names[1])


def test_the_words_grow_with_what_is_known(client):
    heard = [line for line in client.lines("words", step=6) if line["type"] == "words"]
    counts = [len(line["clauses"]) for line in heard]
    assert counts == sorted(counts) and counts[0] == 4 and counts[-1] > counts[0]
    assert len(client.lines("words", step=0)[0]["clauses"]) == 2


@pytest.mark.parametrize(
    ("part", "query", "status"),
    [
        ("secrets", {}, 404),
        ("words", {"step": "7"}, 404),
        ("words", {"step": "many"}, 400),
        ("saliency", {"method": "astrology"}, None),
        ("layers", {"layer": "99"}, None),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(client, part, query, status):
    if status:
        answer = client.get(f"{RUNS}/{client.run.id}/inside/{part}", params=query)
        assert answer.status_code == status and answer.json()["error"]
    else:
        last = client.lines(part, **query)[-1]
        assert last["type"] == "error" and next(iter(query.values())) in last["sentence"]
    assert client.get(f"{RUNS}/nobody/inside/words").status_code == 404


def test_whoever_leaves_ends_what_is_computed():
    async def leave():
        noted: list[str] = []
        reader = Reader()
        response = LinesResponse(lambda: counting(noted), "run", Turns(2), str)
        async with anyio.create_task_group() as group:
            group.start_soon(response, {}, reader.receive, reader.send)
            while len(reader.sent) < 5:
                await anyio.sleep(0.005)
            reader.gone.set()
        return noted, json.loads(reader.sent[3])

    assert event_loop.run(leave()) == (["closed"], {"number": 2})


def test_a_third_question_about_a_run_waits_and_another_runs_does_not():
    async def ask():
        noted: list[str] = []
        turns, readers = Turns(2), [Reader() for _ in range(4)]
        async with anyio.create_task_group() as group:
            for index, one in enumerate(readers):
                key = "other" if index == 3 else "run"
                response = LinesResponse(lambda: counting(noted), key, turns, str)
                group.start_soon(response, {}, one.receive, one.send)
            while min(len(one.sent) for one in (readers[0], readers[1], readers[3])) < 4:
                await anyio.sleep(0.005)
            waited = len(readers[2].sent)
            readers[0].gone.set()
            while len(readers[2].sent) < 4:
                await anyio.sleep(0.005)
            for one in readers[1:]:
                one.gone.set()
        return waited, noted, turns._places

    waited, noted, places = event_loop.run(ask())
    assert waited == 1 and len(noted) == 4 and places == {}  # the head of the answer, and no line yet


def test_a_network_that_breaks_ends_in_a_sentence(client, gate):
    def broken(x):
        raise FoolscopeError("It {broke}.")

    gate.hook = broken
    last = client.lines("saliency", step=5, method="occlusion")[-1]
    assert last == {"type": "error", "sentence": "It {broke}."}
    gate.hook = None
    assert client.lines("saliency", step=5, method="occlusion")[-1] == {"type": "end"}


def test_the_words_of_the_section_come_in_chinese(client):
    assert client.get("/foolscope/inside/words").json() == {}
    known = client.get("/foolscope/inside/words?lang=zh").json()
    assert known.keys() | phrases("zh", part="live").keys() >= live_phrases.of_inside()
    assert set(words.TEMPLATES) <= known.keys()
