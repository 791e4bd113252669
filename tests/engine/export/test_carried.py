"""A picture brings back its run; whatever else stands in its chunk is said and left aside."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator

import pytest
from PIL import Image

from attacks.contract import Stop
from engine.engine import Engine
from engine.export import carried
from engine.export.carried import WHOLE
from engine.export.making import Export, Wanted
from engine.export.restore import ALONE, BACK, restore
from engine.fields import Region
from engine.images.sources import UPLOAD, decode, examine
from engine.recipe import Recipe
from errors import BadRecipe
from tests.support import small_model


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with small_model.engine(small_model.Gate()) as made:
        yield made


def exported(engine: Engine, recipe: Recipe, kind: carried.Kind = "network") -> Export:
    run = engine.submit(recipe)
    list(engine.follow(run))
    return engine.export(run, Wanted(kind, len(run) - 1))


def recipe_of(engine: Engine, image: str) -> Recipe:
    target = engine.classify("small", image)[1].index
    params = {"steps": 3, "epsilon": 20 / 255}
    region = Region(0, 0, 1, 0.5)
    return Recipe("small", image, "pgd", params, target, Stop("success"), region, 7, eight_bit=True)


def with_text(data: bytes, text: bytes) -> bytes:
    """Return a PNG whose recipe is replaced by ``text``."""
    body = b"iTXt" + b"foolscope\0\0\0\0\0" + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    plain = io.BytesIO()
    decode(data).save(plain, "PNG")
    return plain.getvalue()[:33] + chunk + plain.getvalue()[33:]


@pytest.mark.parametrize("kind", ["network", "photo"])
def test_a_picture_of_a_sample_brings_back_its_recipe_and_its_start(
    engine: Engine, kind: carried.Kind
) -> None:
    recipe = recipe_of(engine, "coffee")
    token = engine.uploads.add(exported(engine, recipe, kind).data)
    found = engine.uploads.carried(token)
    assert found is not None and found.kind == kind
    restored = restore(engine, found, token)
    assert restored.original and restored.note == (BACK, {})
    params = {name: restored.recipe.params[name] for name in recipe.params}
    assert (restored.recipe.to_json() | {"params": params}) == recipe.to_json()


def test_an_upload_is_taken_only_from_ones_own(engine: Engine) -> None:
    file = io.BytesIO()
    engine.picture("cat").resize((90, 70)).save(file, "PNG")
    original = engine.uploads.add(file.getvalue(), "holiday.png")
    data = exported(engine, recipe_of(engine, original)).data
    assert b"holiday" not in data and original.removeprefix(UPLOAD).encode() not in data
    token = engine.uploads.add(data)
    found = engine.uploads.carried(token)
    assert found is not None
    assert restore(engine, found, token, [token, original]).recipe.image == original
    alone = restore(engine, found, token)
    assert alone.recipe.image == token and alone.note == (ALONE, {}) and alone.recipe.crop == WHOLE


HOSTILE = {
    "empty": (b"", "damaged"),
    "no JSON": (b"{", "damaged"),
    "deep": (b"[" * 60_000, "damaged"),
    "a list": (b"[]", "version"),
    "another version": (b'{"version": 99}', "expected version 1, got 99"),
    "NaN": (b'{"version": NaN}', "NaN"),
    "no settings": (b'{"version": 1, "kind": "photo", "original": "", "pixels": ""}', "damaged"),
    "10 MB": (b" " * 10 * 2**20, "at most 64 kB, got 10,240 kB"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_chunk_costs_the_recipe_and_not_the_picture(engine: Engine, name: str) -> None:
    text, said = HOSTILE[name]
    data = exported(engine, recipe_of(engine, "coffee")).data
    decoded = examine(with_text(data, text))
    assert decoded.picture.tobytes() == decode(data).tobytes() and decoded.carried is None
    ((template, facts),) = decoded.notes
    assert template.startswith("The recipe in the picture was left aside") and said in template.format(
        **facts
    )
    assert carried.MARK not in decoded.picture.info


@pytest.mark.parametrize(
    ("part", "text"),
    [("model", "no-such"), ("epsilon", "nan"), ("steps", "1e9"), ("seed", "-1"), ("attack", "../x")],
)
def test_a_value_is_refused_as_in_a_link(engine: Engine, part: str, text: str) -> None:
    data = exported(engine, recipe_of(engine, "coffee")).data
    plain = json.loads(carried._text(data) or b"")
    plain["settings"][part] = text
    found = examine(with_text(data, json.dumps(plain).encode())).carried
    assert found is not None
    with pytest.raises(BadRecipe, match="left aside"):
        restore(engine, found, "coffee")


def test_a_path_is_no_picture(engine: Engine) -> None:
    data = exported(engine, recipe_of(engine, "coffee")).data
    plain = json.loads(carried._text(data) or b"")
    plain["settings"]["image"] = "../../etc/passwd"
    token = engine.uploads.add(with_text(data, json.dumps(plain).encode()))
    found = engine.uploads.carried(token)
    assert found is not None and restore(engine, found, token).recipe.image == token


def test_a_picture_that_was_edited_has_no_recipe(engine: Engine) -> None:
    data = exported(engine, recipe_of(engine, "coffee")).data
    picture = decode(data)
    picture.putpixel((3, 3), (1, 2, 3))
    file = io.BytesIO()
    picture.save(file, "PNG")
    decoded = examine(with_text(file.getvalue(), carried._text(data) or b""))
    assert decoded.carried is None and "changed" in decoded.notes[0][0]


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_other_formats_carry_it_too(engine: Engine, format: carried.Format) -> None:
    run = engine.submit(recipe_of(engine, "coffee"))
    list(engine.follow(run))
    data = engine.export(run, Wanted("network", len(run) - 1, False, format)).data
    found = examine(data).carried
    assert (
        found is not None and found.settings["seed"] == "7" and Image.open(io.BytesIO(data)).size == (16, 16)
    )
