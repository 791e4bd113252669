"""A run as data, and all files of it: complete, readable, remembered within a limit."""

from __future__ import annotations

import csv
import io
import json
import re
from functools import partial
from urllib.parse import parse_qsl

import numpy as np
import pytest
import segno

from engine import links
from engine.recipe import Recipe
from engine.run import SCALARS, Run
from engine.sharing import address, data, files
from engine.sharing.voice import ENGLISH
from errors import FoolscopeError, UnknownName


def loaded(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)


def test_arrays_are_the_runs(short):
    found = loaded(data.arrays(short))
    assert (
        np.array_equal(found["figures"], short.scalars(0, 11), equal_nan=True)
        and tuple(found["figure_names"]) == SCALARS
    )
    assert np.array_equal(found["log_p"], short.log_p(0, 11, found["classes"].tolist()))
    assert found["labels"].tolist() == [short.labels[index] for index in found["classes"]]
    assert np.array_equal(found["adversarial"], short.picture(10))
    assert np.array_equal(found["original"], short.picture(0))
    for step, delta in zip(found["delta_steps"], found["deltas"], strict=True):
        assert np.array_equal(delta.astype(np.float32), short.delta(int(step)))
    assert Recipe.from_json(json.loads(str(found["recipe"]))) == short.recipe


def test_a_recipe_comes_back(short):
    assert Recipe.from_json(json.loads(data.recipe(short))) == short.recipe


def test_a_run_of_10_000_steps_leaves_whole(long):
    """The curve is complete; pictures are thinned, and nothing is larger than people can send."""
    rows = list(csv.reader(io.StringIO(files.made(long, "trajectory.csv", ENGLISH).decode())))
    assert (
        len(rows) == 10_002 and rows[-1][0] == "10000" and rows[-1][rows[0].index("top_class")] == "vulture"
    )
    found = loaded(files.made(long, "trajectory.npz", ENGLISH))
    assert found["figures"].shape == (10_001, len(SCALARS)) and len(found["log_p"]) == 10_001
    assert found["delta_steps"][0] == 0 and 20 < len(found["delta_steps"]) <= data.PICTURES
    small = ["report.html", "animation-chat.webp", "animation-chat.gif", "repeat.zip", "repeat.ipynb"]
    sizes = {name: len(files.made(long, name, ENGLISH, "https://a.example/")) for name in small}
    assert all(1000 < size < 4 * 2**20 for size in sizes.values()), sizes
    assert b"10,000" in files.made(long, "report.html", ENGLISH, "https://a.example/")


def test_a_link_opens_the_same_run(panda):
    link = address.link(panda, "https://a.example/course/", "zh")
    page, _, query = link.partition("?")
    parts = dict(parse_qsl(query))
    assert page == "https://a.example/course/" and parts["lang"] == "zh"
    read = links.read(parts)
    assert read.recipe == panda.recipe and read.run == panda.id and not read.problems


def test_a_qr_code_is_dark_on_white_with_its_quiet_zone():
    text = "https://a.example/?run=abc"
    matrix = [list(row) for row in segno.make_qr(text, error="l").matrix]
    drawn = address.qr(text)
    size = len(matrix) + 2 * address.QUIET_ZONE
    assert f'viewBox="0 0 {size} {size}"' in drawn and f'fill="#fff" d="M0 0h{size}v{size}' in drawn
    assert 'stroke="#000"' in drawn and modules(drawn, size) == matrix


def modules(svg: str, size: int) -> list[list[int]]:
    """Return which modules inside the quiet zone a drawn code has dark."""
    grid = np.zeros((size, size), int)
    x, y = 0.0, 0.0
    for kind, numbers in re.findall(r"([Mmh])([-\d. ]+)", svg.partition('stroke="#000" d="')[2]):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if kind == "h":
            grid[int(y), int(x) : int(x + values[0])] = 1
            x += values[0]
        else:
            x, y = (values[0], values[1]) if kind == "M" else (x + values[0], y + values[1])
    edge = address.QUIET_ZONE
    assert not grid[:edge].any() and not grid[:, :edge].any()
    inner: list[list[int]] = grid[edge:-edge, edge:-edge].tolist()
    return inner


def test_a_file_is_made_once_and_the_oldest_are_forgotten():
    made, asked = files.Made(limit=100), []

    def make(name: str) -> bytes:
        asked.append(name)
        return bytes(40)

    for name in ("a", "b", "a", "c", "a", "b"):
        assert made.get((name,), partial(make, name)) == bytes(40)
        assert made.size <= 100
    assert asked == ["a", "b", "c", "b"]


def test_what_cannot_be_shown_is_said(short, tiny):
    with pytest.raises(UnknownName, match=r"report\.html"):
        files.made(short, "report.htm", ENGLISH)
    going = tiny.submit(short.recipe, paused=True)
    with pytest.raises(FoolscopeError, match="not over yet"):
        files.made(going, "recipe.json", ENGLISH)
    tiny.cancel(going)
    with pytest.raises(FoolscopeError, match="before its first step"):
        files.made(going, "recipe.json", ENGLISH)
    failed = Run(short.recipe, short.labels, short.start, short.original, 10)
    failed.set_status("failed", "failed", "The device has no memory left.")
    with pytest.raises(FoolscopeError, match="failed.*no memory left"):
        files.made(failed, "report.html", ENGLISH)


def test_without_pictures_code_and_data_remain(short):
    run = Run(short.recipe, short.labels, short.start, short.original, 10)
    run.restore(
        short.log_p(0, 11), short.scalars(0, 11), {0: short.delta(0).astype(np.float16)}, short.classes
    )
    run.set_status("finished", "steps")
    for name in ("report.html", "animation-chat.gif", "trajectory.npz"):
        with pytest.raises(FoolscopeError, match="not stored"):
            files.made(run, name, ENGLISH)
    assert files.made(run, "trajectory.csv", ENGLISH).count(b"\n") == 12


def test_files_are_called_by_their_classes(panda):
    assert files.file_name(panda, "report.html") == "foolscope-giant-panda-vulture-report.html"
