"""Which normalisation a network was trained with: real weights, stated rightly and wrongly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import models
from engine.admission import evidence
from engine.admission.evidence import KNOWN_ONES, own_normalisation, photos_for
from engine.admission.normalisation import normalisation
from engine.admission.subject import Subject
from models import weights
from models.added.record import CheckResult, InputFormat, OutputFormat
from models.core import Card
from tests.support.odd_networks import SIDE, body, number

IMAGENET, SIGNED = KNOWN_ONES[0], KNOWN_ONES[1]


@pytest.fixture(scope="module")
def lite() -> tuple[Card, nn.Module]:
    entry = models.registry()["efficientnet_lite0"]
    network = entry.build()
    network.load_state_dict(weights.read(weights.fetch(entry.card)))
    return replace(entry.card, size=160), network.eval().requires_grad_(False)  # half of what it takes to see


def checked(
    card: Card, network: nn.Module, how=None, stated: bool = True, seconds: float = 99.0
) -> tuple[InputFormat, dict[str, CheckResult]]:
    takes = InputFormat(card.size, card.size, 3, card.mean, card.std, card.resize, card.interpolation)
    takes = how.applied(takes) if how else takes
    subject = Subject(network, takes, OutputFormat(), card.labels)
    subject, found = normalisation(subject, stated, seconds, lambda **line: None)
    return subject.takes, {result.check: result for result in found}


def test_a_wrong_normalised_copy_is_noticed_and_the_right_one_named(lite, monkeypatch):
    monkeypatch.setattr(evidence, "KNOWN_ONES", KNOWN_ONES[:2])
    takes, found = checked(lite[0], lite[1], IMAGENET)
    note = found["statistics"]
    assert note.verdict == "note" and note.facts["rival"] == "[-1, 1]" and note.facts["own"] == "ImageNet"
    assert number(note, "other") < 0.1 < 0.5 < number(note, "fit")
    assert "--mean 0.5,0.5,0.5 --std 0.5,0.5,0.5" in str(note)
    assert takes.mean == IMAGENET.mean


def test_the_right_normalisation_is_confirmed(lite, monkeypatch):
    monkeypatch.setattr(evidence, "KNOWN_ONES", KNOWN_ONES[:2])
    takes, found = checked(*lite)
    assert {result.verdict for result in found.values()} == {"fine"}
    assert number(found["normalisation"], "named") >= 15 and found["normalisation"].facts["own"] == "[-1, 1]"
    assert takes.mean == lite[0].mean


def test_where_nobody_states_it_the_right_one_is_taken_and_said(lite, monkeypatch):
    monkeypatch.setattr(evidence, "KNOWN_ONES", KNOWN_ONES[:2])
    takes, found = checked(lite[0], lite[1], IMAGENET, stated=False)
    assert (takes.mean, takes.std) == SIGNED[1:3]
    assert found["statistics"].verdict == "fine" and "[-1, 1]" in str(found["statistics"])


def test_without_statistics_harder_pictures_tell(lite, monkeypatch):
    monkeypatch.setattr(evidence, "KNOWN_ONES", KNOWN_ONES[:2])
    card, network = lite
    folded = models.prepared(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    takes, found = checked(card, folded, IMAGENET, seconds=0.0)
    note = found["normalisation"]
    assert note.verdict == "note" and note.facts["rival"] == "[-1, 1]" and note.facts["pictures"] == 64
    assert number(note, "better") > number(note, "named") and "statistics" not in found


def test_channels_in_another_order_are_noticed(lite, monkeypatch):
    monkeypatch.setattr(evidence, "KNOWN_ONES", (KNOWN_ONES[0], KNOWN_ONES[5]))
    card, network = lite

    class Reversed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            pixels = 255 * x.flip(1)
            mean = 255 * torch.tensor(KNOWN_ONES[5].mean).flip(0).view(3, 1, 1)
            answer: torch.Tensor = network(((pixels / 255 + mean) - 127) / 128)
            return answer

    takes, found = checked(card, Reversed(), IMAGENET)
    note = found["normalisation"]
    assert note.verdict == "note" and note.facts["rival"] == "Caffe (BGR)"
    assert number(note, "named") <= 4 and number(note, "better") >= 15 and "--bgr" in str(note)


def test_random_weights_give_no_verdict(lite):
    card, _ = lite
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network = nn.Sequential(network, nn.Flatten(), nn.Linear(4, 1000)).eval()
    _, found = checked(replace(card, size=64), network, IMAGENET)
    assert list(found) == ["normalisation"]
    assert found["normalisation"].verdict == "note" and "No verdict" in str(found["normalisation"])


def test_classes_in_another_order_are_noticed(lite, monkeypatch):
    monkeypatch.setattr(evidence, "KNOWN_ONES", KNOWN_ONES[:2])
    card, network = lite
    order = torch.randperm(1000, generator=torch.Generator().manual_seed(0))

    class Shuffled(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            answer: torch.Tensor = network(x)
            return answer[:, order]

    _, found = checked(card, Shuffled())
    assert "another order" in str(found["labels"]) and found["labels"].verdict == "note"
    assert "No verdict" in str(found["normalisation"])


def test_other_classes_give_a_weak_sign_or_statistics():
    card = Card("x", "X", "", SIDE, ("a", "b", "c", "d", "e"), models.card("efficientnet_lite0").weights)
    _, found = checked(card, body())
    weak = found["normalisation"]
    assert "weak sign" in str(weak) and weak.verdict == "note" and weak.facts["rival"] != weak.facts["own"]
    flat = body()
    next(iter(flat[-1].parameters())).data.mul_(1e-4)
    weak = checked(card, flat)[1]["normalisation"]
    assert weak.verdict == "fine" and "weak sign" in str(weak) and "rival" not in weak.facts
    norm = nn.BatchNorm2d(8)
    network = body(norm=norm)
    subject = Subject(
        network,
        SIGNED.applied(InputFormat(SIDE, SIDE)),
        OutputFormat(),
        card.labels,
    )
    images = (photos_for(subject).images - 0.5) / 0.5
    network[:2].train()(images)
    norm.momentum = 1.0
    network[:2](images)
    network.eval()
    assert checked(card, network, SIGNED)[1]["statistics"].verdict == "fine"
    _, found = checked(card, network, KNOWN_ONES[4])
    assert found["statistics"].facts["rival"] == "[-1, 1]" and found["statistics"].verdict == "note"


def test_normalisations_have_common_names():
    takes = InputFormat(8, 8, mean=(0.4981,) * 3, std=(0.502,) * 3)
    assert own_normalisation(takes).name == "[-1, 1]"
    assert own_normalisation(replace(takes, std=(0.3,) * 3)).name == (
        "mean 0.4981,0.4981,0.4981, std 0.3,0.3,0.3"
    )
    assert own_normalisation(replace(takes, reversed_channels=True)).name.startswith("mean")
