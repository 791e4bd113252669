"""The neighbourhood, the boundary and what a perturbation is made of, over HTTP."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

import models
from app import service
from attacks.contract import Stop
from engine.inside.computed import COMPUTED, Computed
from engine.recipe import Recipe


def of_type(heard, kind):
    return [line for line in heard if line["type"] == kind]


def test_a_plane_comes_from_coarse_to_fine_and_its_points_are_what_the_run_says(client):
    heard = client.lines("plane", step=6, cells=32)
    assert heard[0]["type"] == "plane" and heard[-1] == {"type": "end"}
    assert heard[0]["adversarial"][0] == pytest.approx(client.run.figures(6)["l2"], rel=1e-3)
    levels = of_type(heard, "level")
    assert [line["cells"] for line in levels] == [4, 8, 16, 32]
    assert all(line["asked"] + line["filled"] == (line["cells"] + 1) ** 2 for line in levels)
    assert levels[-1]["asked"] == sum(len(line["at"]) for line in of_type(heard, "asked"))
    named = {line["index"]: line["label"] for line in of_type(heard, "class")}
    assert set(named) == {label for line in of_type(heard, "asked") for label in line["labels"]}


def test_the_window_is_where_it_was_asked_for_and_its_middle_is_the_original(client):
    heard = client.lines("plane", step=6, cells=4, x=0, y=0, half=0.5)
    (middle,) = [
        (label, p)
        for line in of_type(heard, "asked")
        for at, label, p in zip(line["at"], line["labels"], line["probabilities"], strict=True)
        if at == 2 * 5 + 2
    ]
    assert middle[0] == client.run.original
    assert middle[1] == pytest.approx(client.run.top(0, 1)[0].probability, abs=1e-3)


def test_a_finer_plane_asks_only_for_what_is_new(client, gate):
    client.lines("plane", step=6, cells=16)
    before = sum(gate.batches)
    heard = client.lines("plane", step=6, cells=32)
    fresh = sum(len(line["at"]) for line in of_type(heard, "asked") if line["cells"] == 32)
    assert sum(gate.batches) - before == fresh


def test_two_networks_are_shown_beside_each_other(client):
    heard = client.lines("plane", step=6, cells=8, second="smaller")
    assert [network["name"] for network in heard[0]["networks"]] == ["small", "smaller"]
    assert {line["network"] for line in of_type(heard, "asked")} == {0, 1}
    assert client.lines("plane", step=6, second="lenet")[0]["type"] == "error"


@pytest.mark.parametrize("third", ["signs", "image:dog"])
def test_other_third_points_span_other_planes(client, third):
    heard = client.lines("plane", step=6, cells=4, third=third)
    assert heard[0]["third"] != client.lines("plane", step=6, cells=4)[0]["third"]
    assert heard[-1] == {"type": "end"}


def test_the_end_of_another_run_is_a_third_point(client):
    other = service.engine().submit(Recipe("small", "cat", "bim", {"steps": 3}, stop=Stop("steps")))
    list(service.engine().follow(other))
    plan = client.lines("plane", step=6, cells=4, third=f"run:{other.id}")[0]
    length = float(np.linalg.norm(other.picture(len(other) - 1) - client.run.start))
    assert np.hypot(*plan["third"]) == pytest.approx(length, rel=1e-3)
    stranger = service.engine().submit(Recipe("small", "dog", "bim", {"steps": 3}, stop=Stop("steps")))
    list(service.engine().follow(stranger))
    (refused,) = client.lines("plane", step=6, third=f"run:{stranger.id}")
    assert refused["sentence"].startswith("Expected a run that began with the same picture")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"step": 0}, "has not changed yet"),
        ({"third": "nowhere"}, "third point"),
        ({"half": "wide"}, "Expected a number for half"),
        ({"half": "-1"}, "Expected a window"),
        ({"cells": "48"}, "cells in a row, got 48"),
        ({"seed": "x"}, "Expected a whole number for seed"),
    ],
)
def test_what_makes_no_plane_is_refused_in_a_sentence(client, query, words):
    *_, last = client.lines("plane", **{"step": 6} | query)
    assert last["type"] == "error" and words in last["sentence"]


def test_choices_are_pictures_of_the_shelf_and_networks_that_are_here(client):
    (offered, _) = client.lines("plane_choices", step=6)
    names = [picture["name"] for picture in offered["pictures"]]
    assert "image:dog" in names and "image:cat" not in names and "image:seven" not in names
    assert offered["runs"] == []  # whoever sends no cookie has none


def test_lines_and_distances_stream(client):
    heard = client.lines("boundary", step=6, count=4)
    straight = of_type(heard, "straight")
    assert [line["line"] for line in straight] == ["adversarial", "sign"]
    assert straight[0]["own"] == f"class {client.run.original}" and straight[0]["other"] == "class 2"
    distances = {line["direction"]: line["length"] for line in of_type(heard, "distance")}
    assert sorted(distances) == [-1, 0, 1, 2, 3]
    assert 0 < distances[-1] <= client.run.figures(6)["l2"] * 1.01  # the run fools at its last step


def test_what_the_change_is_made_of(client, monkeypatch):
    remembered = Computed()
    for module in ("app.inside.looking", "engine.sharing.inside"):
        monkeypatch.setattr(f"{module}.COMPUTED", remembered)
    heard = client.lines("made_of", step=6)
    (made,) = of_type(heard, "composition")
    assert made["spectrum"].startswith("data:image/png;base64,") and sum(made["shares"]) == pytest.approx(1)
    everything = of_type(heard, "filtered")[-1]
    assert everything["share"] == pytest.approx(1, abs=1e-4)
    assert everything["probability"] == pytest.approx(client.run.top(6, 1)[0].probability, abs=0.01)
    assert of_type(heard, "largest")[0]["fooled"] == client.run.succeeded(6)
    record = client.get(f"/foolscope/runs/{client.run.id}/files/inside.json").json()
    (entry,) = [
        entry for entry in record if entry["part"] == "made_of" and "composition" in entry["settings"]
    ]
    first, maps = entry["answers"]
    assert first["shares"] == made["shares"] and first["levels"] == made["levels"]
    assert maps["sizes"]["shape"] == maps["power"]["shape"] == [16, 16]
    assert "has not changed yet" in client.lines("filter", step=0)[0]["sentence"]
    (band, _) = client.lines("filter", step=6, low=0, high=0.5)
    assert 0 < band["share"] < 1 and band["picture"].startswith("data:image/png")


def test_a_network_without_a_twin_says_so(client):
    (alike, _) = client.lines("people", step=6)
    assert 0 < alike["ssim"] < 1 and alike["twin"] is None
    (refused,) = client.lines("twin", step=6)
    assert refused["sentence"] == "Expected a network that has a twin, got one that has none."


def test_the_same_attack_runs_on_the_twin(monkeypatch, client):
    twins = small_pair()
    monkeypatch.setattr("app.inside.people_part.models.card", lambda name: twins[name])
    heard = client.lines("twin", step=6)
    steps = of_type(heard, "twin_step")
    assert [line["step"] for line in steps] == list(range(7))
    (pair,) = of_type(heard, "twin")
    assert pair["own"]["length"] == pytest.approx(client.run.figures(6)["l2"], rel=1e-3)
    assert pair["twin"]["title"] == "Smaller" and pair["twin"]["steps"] == 6
    assert pair["twin"]["before"].startswith("class ")
    again = client.lines("twin", step=6)
    assert not of_type(again, "twin_step") and of_type(again, "twin") == [pair]  # it is remembered


def test_what_it_means_to_people_is_in_the_files(monkeypatch, client):
    monkeypatch.setattr("app.inside.looking.COMPUTED", COMPUTED)
    twins = small_pair()
    monkeypatch.setattr("app.inside.people_part.models.card", lambda name: twins[name])
    (alike, _) = client.lines("people", step=6)
    (pair,) = of_type(client.lines("twin", step=6), "twin")
    record, archive = (
        client.get(f"/foolscope/runs/{client.run.id}/files/inside.{e}") for e in ("json", "npz")
    )
    entries = {entry["part"]: entry["answers"] for entry in record.json()}
    assert entries["people"] == [{"type": "Similarity", "ssim": alike["ssim"]}]
    own, twin = entries["twin"]
    assert [own["network"], twin["network"]] == ["small", "smaller"]
    names = ("length", "largest", "low", "ssim", "probability", "fooled")
    assert all(own[name] == pair["own"][name] and twin[name] == pair["twin"][name] for name in names)
    arrays = np.load(io.BytesIO(archive.content))
    delta = arrays[own["perturbation"]["array"]]
    assert np.allclose(delta, client.run.picture(6) - client.run.start, atol=1e-6)
    assert np.linalg.norm(arrays[twin["perturbation"]["array"]]) == pytest.approx(twin["length"], rel=1e-5)


def small_pair():
    names = {"small": "smaller", "smaller": "small"}
    return {name: replace(models.card(name), twin=twin) for name, twin in names.items()}
