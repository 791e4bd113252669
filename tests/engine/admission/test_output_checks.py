"""What networks give: each kind is told from its neighbours, and what cannot be attacked is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from errors import BadNetwork
from models.added.adapting import adapted
from models.added.record import OutputFormat
from tests.support.odd_networks import SIDE, STATED, Then, body, examined, results, verdict


def kinds(network: nn.Module) -> tuple[str, str]:
    examination = examined(network)
    return examination.gives.kind, verdict(examination, "outputs")


@pytest.mark.parametrize(
    ("classes", "after", "kind"),
    [
        (5, nn.Identity(), "logits"),
        (2, nn.Identity(), "logits"),
        (5, nn.Softmax(1), "probabilities"),
        (2, nn.Softmax(1), "probabilities"),
        (5, nn.LogSoftmax(1), "log_probabilities"),
        (5, nn.Sigmoid(), "sigmoids"),
        (1, nn.Identity(), "one_logit"),
        (1, nn.Sigmoid(), "one_probability"),
        (5, nn.Softplus(), "logits"),
    ],
)
def test_what_comes_out_is_recognised(classes, after, kind):
    plain = kind in ("logits", "log_probabilities")
    assert kinds(nn.Sequential(body(classes), after)) == (kind, "fine" if plain else "note")


def test_small_logits_in_0_to_1_are_not_taken_for_probabilities():
    network = body(1)
    with torch.no_grad():
        head = network[-1]
        assert isinstance(head, nn.Linear)
        head.weight.mul_(0.001)
        head.bias.fill_(0.5)
    given = network(torch.rand(4, 3, SIDE, SIDE))
    assert given.min() > 0 and given.max() < 1
    assert kinds(network)[0] == "one_logit"


def test_the_network_s_own_probabilities_come_back():
    network = nn.Sequential(body(), nn.Softmax(1))
    examination = examined(network)
    x = torch.randn(3, 3, SIDE, SIDE, requires_grad=True)
    logits = adapted(network, examination.takes, examination.gives)(x)
    assert torch.allclose(logits.softmax(1), network(x), atol=1e-6)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), x)
    assert gradient.abs().sum() > 0
    assert examination.labels == tuple(f"class {i}" for i in range(5))


def test_of_a_tuple_the_first_is_taken_and_the_others_are_named():
    examination = examined(Then(body(), lambda y: (y, y[:, :2], y.mean())))
    assert examination.gives == OutputFormat(part="0")
    assert "3 outputs" in str(results(examination, "outputs")[0])


@pytest.mark.parametrize("after", [lambda y: {"logits": y, "states": y[None]}, lambda y: {"probs": y}])
def test_of_a_dictionary_the_logits_are_taken(after):
    examination = examined(Then(body(), after))
    assert examination.gives.part in ("logits", "probs") and len(examination.labels) == 5


def test_maps_of_one_pixel_are_a_row():
    network = Then(body(), lambda y: y[:, :, None, None])
    examination = examined(network)
    assert examination.gives.flat and "5 x 1 x 1" in str(results(examination, "outputs")[0])
    x = torch.rand(2, 3, SIDE, SIDE)
    assert torch.equal(adapted(network, examination.takes, examination.gives)(x), network(x)[:, :, 0, 0])


def test_squeezed_numbers_are_one_logit():
    examination = examined(Then(body(1), torch.squeeze))
    assert examination.gives.kind == "one_logit" and examination.labels == ("no", "yes")


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (lambda y: [{"boxes": y, "scores": y[:, 0], "labels": y[:, 1]}], "detectors"),
        (lambda y: {"pred_boxes": y, "logits": y}, "detectors"),
        (lambda y: y[:, :, None].expand(-1, -1, 7), "detectors"),
        (lambda y: y[:, :, None, None].expand(-1, -1, 8, 6), "8 x 6 answers"),
        (lambda y: {"out": y[:, :, None, None].expand(-1, -1, 8, 6)}, "segmenters"),
        (lambda y: y.argmax(1), "int64 numbers"),
        (lambda y: y.round().long(), "int64 numbers"),
        (lambda y: {"a": y, "b": y}, "got: a, b"),
        (lambda y: "cat", "gives str"),
        (lambda y: (), "gives tuple"),
        (lambda y: y[:, :0], "got none"),
        (lambda y: y / 0, "NaN or infinity for 4 of 4 images"),
        (lambda y: y * float("nan"), "NaN"),
    ],
)
def test_what_is_no_classifier_is_refused_with_the_reason(after, words):
    with pytest.raises(BadNetwork, match=words):
        examined(Then(body(), after))


def test_a_background_is_left_out():
    examination = examined(body(1001))
    assert examination.gives.background and len(examination.labels) == 1000
    assert "background" in str(results(examination, "outputs")[1])
    own = tuple(f"thing {i}" for i in range(1001))
    assert not examined(body(1001), replace(STATED, labels=own)).gives.background
    assert examined(body(1001), replace(STATED, labels=("background", *own[1:]))).labels == own[1:]
    assert not examined(body(7)).gives.background


def test_a_network_that_ignores_its_image_is_noted():
    (_, note) = results(examined(Then(body(), lambda y: y * 0 + 1)), "outputs")
    assert note.verdict == "note" and "very same answer" in str(note)
