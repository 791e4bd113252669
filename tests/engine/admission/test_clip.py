"""CLIP with a person's own words: a tiny one with random weights, through open_clip's own loading."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import models
from app.cli.networks import main
from attacks.contract import Stop
from engine import links
from engine.admission import worker
from engine.engine import Engine
from engine.recipe import Recipe
from errors import BadSetting, FoolscopeError
from models.added import clip, shelf, source, words
from models.added.record import AddedModel, Request
from tests.support import small_clip
from tests.support.hub_server import Hub
from tests.support.own_process import add_here

OWN = ("giant panda", "toaster", "a red fire engine in snow", "Ada")
CENTRE, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TEXTS = ["a photo of a giant panda", "a photo of a toaster", "a red fire engine in snow", "a photo of Ada"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with the tiny network's files, in a home of its own where it was added once."""
    folder = tmp_path_factory.mktemp("clip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOLSCOPE_HOME", str(folder / "home"))
        patch.setenv("HF_HUB_OFFLINE", "1")  # the tokenizer comes with the package
        yield folder


@pytest.fixture(scope="module")
def added(home: Path) -> AddedModel:
    return small_clip.added(home, *OWN)


@pytest.fixture
def engine(added: AddedModel) -> Iterator[Engine]:
    made = Engine(torch.device("cpu"))
    yield made
    made.close()


def test_its_logits_are_those_of_open_clip_and_its_classes_the_words(home: Path, added: AddedModel) -> None:
    assert added.labels == OWN and added.input.interpolation == "bicubic" and added.input.resize == 32
    assert added.input.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert {kept.name for kept in added.files} == {
        "image.safetensors", "open_clip_config.json", "text.safetensors", "words.safetensors",
    }  # fmt: skip
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    (shelf.folder() / "clip" / "text.safetensors").rename(home / "text")  # which is not needed now
    try:
        with pytest.raises(FoolscopeError, match="missing or was changed"):
            models.load("clip")
    finally:
        (home / "text").rename(shelf.folder() / "clip" / "text.safetensors")
    logits = models.load("clip")(x)
    assert torch.allclose(logits, small_clip.plain(home, x, TEXTS), atol=1e-4)
    assert logits.std() > 0.5
    assert models.card("clip").worded and not models.card("lenet").worded


def test_other_words_are_other_classes_of_the_same_network(home: Path, engine: Engine) -> None:
    name = words.name_of("clip", ["cats & dogs", "50% of a+b", "猫;狗"])
    assert words.parsed(name).words == models.card(name).labels == ("cats & dogs", "50% of a+b", "猫;狗")
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    texts = ["a photo of a cats & dogs", "a photo of a 50% of a+b", "猫;狗"]
    assert torch.allclose(engine.logits(name, x), small_clip.plain(home, x, texts), atol=1e-4)
    base, other = engine.model("clip"), engine.model(name)
    assert isinstance(other, clip.WordClassifier) and other.network is base.network
    link = links.checked({"model": name, "image": "panda"})
    assert link.recipe.model == name and links.checked(links.write(link.recipe)).recipe == link.recipe


def test_an_attack_takes_the_picture_to_one_of_the_words(home: Path, engine: Engine) -> None:
    name = words.name_of("clip", ["cat", "toaster", "Ada"])
    ranking = engine.classify(name, "panda")
    recipe = Recipe(name, "panda", "bim", {"steps": 5}, ranking[-1].index, Stop("steps"))
    run = engine.submit(recipe)
    list(engine.follow(run))
    assert (run.status, len(run)) == ("finished", 6), run.error
    p = [run.prediction(step, ranking[-1].index).probability for step in (0, 5)]
    assert p[1] > p[0] and run.labels == ("cat", "toaster", "Ada")
    x = torch.from_numpy(run.picture(5))[None].float()
    texts = ["a photo of a cat", "a photo of a toaster", "a photo of Ada"]
    own = small_clip.plain(home, x, texts).log_softmax(1)
    assert run.log_p(5, 6)[0] == pytest.approx(own[0].numpy(), abs=1e-3)


def test_two_of_them_with_the_same_words_are_attacked_as_one(engine: Engine) -> None:
    cards = ["clip~cat;dog", "clip~dog;cat"]
    both = models.card("+".join(cards) + "@worst")
    assert both.parts == tuple(cards) and both.labels == ("cat", "dog")
    x = torch.rand(1, 3, 32, 32)
    assert engine.logits(both.name, x).argmax() == engine.logits(cards[0], x).argmax()


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        (["", " "], "Expected 1 to 100 words, one for each class, got 0"),
        (["cat"] * 101, "got 101"),
        (["cat", "dog", "Cat"], "got “Cat” twice"),
        (["x" * 101], "at most 100 characters, got 101"),
    ],
)
def test_words_that_cannot_be_classes_are_refused_in_a_sentence(own: list[str], sentence: str) -> None:
    with pytest.raises(BadSetting, match=sentence):
        words.checked(own)


def test_what_cannot_be_read_is_refused_in_a_sentence(home: Path, added: AddedModel) -> None:
    config, weights = small_clip.files(home)
    broken = home / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:5000])
    for named, file, sentence in (
        ("open_clip:no-such-net", weights, "no architecture of open_clip called “no-such-net”"),
        ("open_clip:ViT-B-32@no-such-tag", None, "no weights of open_clip called “no-such-tag”"),
        ("open_clip:ViT-B-32", None, "Expected weights: ViT-B-32@PRETRAINED such as ViT-B-32@"),
        (f"open_clip:{config}", broken, "broken.safetensors"),
        (f"open_clip:{config}", config, "Expected a file of weights"),
    ):
        with pytest.raises(FoolscopeError, match=sentence):
            draft(Request("x", named, file, words=("cat",), trusted=True), home)
    with pytest.raises(FoolscopeError, match="no architecture of open_clip"):
        draft(Request("x", f"open_clip:{config}", weights), home)
    with pytest.raises(BadSetting, match="compares images with words"):
        models.card("lenet~cat")


def test_a_repository_of_a_hub_is_the_network_it_was(hub_server: Hub, tmp_path: Path) -> None:
    config, weights = small_clip.files(tmp_path)
    preprocessing = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "interpolation": "bicubic"}
    described = json.dumps({"model_cfg": small_clip.CONFIG, "preprocess_cfg": preprocessing}).encode()
    files = {"open_clip_config.json": described, "model.safetensors": b"of timm"}
    hub_server.repositories["me/clip"] = files | {"open_clip_model.safetensors": weights.read_bytes()}
    folder = shelf.folder() / "hubbed"
    folder.mkdir(parents=True)
    asked = Request("hubbed", "open_clip:hf-hub:me/clip", words=OWN)
    record = worker.admit(asked, folder, lambda **line: None)
    shelf.changed()
    assert record.labels == OWN and record.input.mean == (0.5, 0.4, 0.3)
    assert "have the digests that the hub states" in " ".join(map(str, record.checks))
    hub_server.repositories.clear()  # it is built again without the hub
    model, x = models.load("hubbed"), torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    usual = torch.tensor(CENTRE).view(3, 1, 1), torch.tensor(SPREAD).view(3, 1, 1)
    normalised = (x - model.mean) / model.std
    expected = small_clip.plain(tmp_path, normalised * usual[1] + usual[0], TEXTS)
    assert torch.allclose(model(x), expected, atol=1e-4)


def test_weights_that_nobody_can_verify_are_not_fetched(hub_server: Hub, tmp_path: Path) -> None:
    described = json.dumps({"model_cfg": small_clip.CONFIG}).encode()
    pickled = {"open_clip_config.json": described, "open_clip_pytorch_model.bin": b"cos\nsystem\n"}
    hub_server.repositories["me/pickled"] = pickled
    for name, sentence in (
        ("hf-hub:me/pickled", "which can run code when read"),
        ("hf-hub:me/none", "me/none"),
        ("RN50@yfcc15m", "timm/resnet50_clip.yfcc15m"),
    ):
        with pytest.raises(FoolscopeError, match=sentence):
            draft(Request("x", f"open_clip:{name}", words=("cat",)), tmp_path)


def draft(request: Request, folder: Path) -> None:
    source.registry()["open_clip"].read(request, folder, lambda done, total: None)


@pytest.mark.filterwarnings("ignore:std..:UserWarning")  # of the checks, in a process that shows none
def test_the_command_line_takes_words(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add_here(monkeypatch)
    config, weights = small_clip.files(home)
    listed = ["add", "typed", "--source", f"open_clip:{config}", "--weights", str(weights)]
    assert main([*listed, "--words", "cat; a toaster"]) == 0
    assert "2 classes, 32 x 32 x 3" in capsys.readouterr().out
    assert shelf.get("typed").labels == ("cat", "a toaster")
    shelf.remove("typed")
