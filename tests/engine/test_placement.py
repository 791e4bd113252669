"""Networks on another device: the CPU plays one that computes wrong gradients in some memory layouts."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from engine import placement
from engine.layouts import FILE, Choice, Choices, key_of
from engine.model_pool import ModelPool
from engine.placement import fastest, input_gradient, placed, relative_difference
from errors import ModelFailed
from models.core import Classifier
from models.layouts import Layout
from tests.support import small_model

CPU = torch.device("cpu")
SECONDS = placement.SECONDS
RULE, PLAIN, UNFOLDED = Layout(True, True), Layout(True, False), Layout(False, True)


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """Have a network measured however busy the machine is."""
    monkeypatch.setattr(placement, "MOST_SECONDS", float("inf"))
    monkeypatch.setattr(placement, "SECONDS", SECONDS)


class WrongBackwards(torch.autograd.Function):
    """Returns its input; its gradient is another."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad.flip(-1)


class Flawed(nn.Module):
    """A network whose gradients are wrong in the memory layouts ``wrong`` once it was moved."""

    def __init__(self, wrong: set[torch.memory_format]) -> None:
        super().__init__()
        self.network = small_model.SmallNet()
        self.wrong, self.moved = wrong, False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = dict(self.named_parameters())["network.body.0.weight"]
        last = weight.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        if self.moved and layout in self.wrong:
            x = WrongBackwards.apply(x)
        logits: torch.Tensor = self.network(x)
        return logits

    def _apply(self, fn, recurse=True):
        self.moved = True
        return super()._apply(fn, recurse)


def flawed(*wrong: torch.memory_format) -> Classifier:
    return Classifier(small_model.card(), Flawed(set(wrong)))


def test_a_sound_network_is_placed_and_answers_as_before():
    model = Classifier(small_model.card(), small_model.SmallNet())
    x = torch.rand(2, 3, small_model.SIZE, small_model.SIZE)
    classes = torch.tensor([1, 4])
    before = input_gradient(model, x, classes)
    assert relative_difference(input_gradient(placed(model, CPU), x, classes), before) < 1e-4


@pytest.mark.parametrize("wrong", [torch.channels_last, torch.contiguous_format], ids=str)
def test_a_layout_with_wrong_gradients_is_not_taken_and_that_is_logged(caplog, wrong):
    model = flawed(wrong)
    weight = dict(placed(model, CPU).named_parameters())["network.network.body.0.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last) is (wrong is not torch.channels_last)
    assert (
        "has other gradients on cpu" in caplog.text
        and f" as {Layout(False, wrong is torch.channels_last)} than" in caplog.text
    )


def test_a_network_that_is_wrong_in_every_layout_is_refused_with_what_to_do():
    with pytest.raises(ModelFailed, match="FOOLSCOPE_DEVICE=cpu"):
        placed(flawed(torch.channels_last, torch.contiguous_format), CPU)


def test_gradients_that_are_no_numbers_are_wrong():
    nothing = torch.zeros(3)
    assert relative_difference(nothing, nothing) == 0
    assert relative_difference(torch.full((3,), float("nan")), torch.ones(3)) == float("inf")


def test_the_pool_checks_what_others_load_on_every_device_but_the_cpu(monkeypatch):
    checked: list[str] = []

    def check(model, device, choices):
        checked.append(device.type)
        return model

    monkeypatch.setattr("engine.model_pool.placed", check)
    for kind in ("cpu", "mps", "cuda"):
        pool = ModelPool(
            torch.device(kind), lambda name, _: Classifier(small_model.card(name), nn.Identity())
        )
        pool.get("a")
        pool.get("a")
    assert checked == ["mps", "cuda"]


class Normalised(nn.Module):
    """A network with batch norm to fold; ``asked`` counts its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        nn.init.constant_(self.norm.bias, 1)
        self.head = nn.Linear(4, small_model.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(torch.relu(self.norm(self.convolution(x))).mean((2, 3)))
        return logits


def normalised(name: str = "small") -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Classifier(small_model.card(name), Normalised())


def layout_of(model: Classifier) -> Layout:
    """Return the layout in which a network is, by its modules."""
    folded = not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    (weight,) = (m.weight for m in model.modules() if isinstance(m, nn.Conv2d))
    return Layout(folded, weight.is_contiguous(memory_format=torch.channels_last))


def timed(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> list[str]:
    """Have layouts take so many seconds, by their names, and return what was timed."""
    asked: list[str] = []

    def take(self: placement.Trial, layout: Layout) -> float:
        asked.append(str(layout))
        self.laid_out(layout)
        return seconds[{RULE: "rule", PLAIN: "plain", UNFOLDED: "unfolded"}[layout]]

    monkeypatch.setattr(placement.Trial, "seconds", take)
    monkeypatch.setattr(placement, "SECONDS", float("inf"))
    return asked


@pytest.mark.parametrize(
    ("seconds", "fast"),
    [
        ({"rule": 1.0, "plain": 0.9, "unfolded": 1.0}, PLAIN),
        ({"rule": 1.0, "plain": 2.0, "unfolded": 0.5}, UNFOLDED),
        ({"rule": 1.0, "plain": 0.97, "unfolded": 0.96}, RULE),
        ({"rule": 0.9, "plain": 1.0, "unfolded": 1.0}, RULE),
    ],
)
def test_the_layout_that_is_clearly_faster_is_taken_and_the_answers_stay(
    monkeypatch, tmp_path, seconds, fast
):
    timed(monkeypatch, **seconds)
    x = torch.rand(2, 3, small_model.SIZE, small_model.SIZE)
    model = placed(normalised(), CPU, Choices(tmp_path / FILE))
    assert layout_of(model) == fast
    assert torch.allclose(model(x), normalised()(x), atol=1e-5)


def test_one_quick_pass_among_slow_ones_is_no_clear_win():
    assert fastest({RULE: [1.0, 1.1, 1.0], PLAIN: [0.1, 1.0, 1.2]}) == RULE
    assert fastest({RULE: [1.0, 3.0, 3.0], PLAIN: [1.1, 1.1, 1.1]}) == RULE  # the rule's was disturbed
    assert fastest({RULE: [1.0], PLAIN: [0.1]}) == RULE
    assert fastest({RULE: [1.0, 1.1], PLAIN: [0.8, 0.8]}) == PLAIN


def test_a_network_is_measured_once_also_after_a_restart(monkeypatch, tmp_path):
    asked = timed(monkeypatch, rule=1.0, plain=0.5, unfolded=1.0)
    placed(normalised(), CPU, Choices(tmp_path / FILE))
    assert set(asked) == {str(RULE), str(PLAIN), str(UNFOLDED)}
    asked.clear()
    assert layout_of(placed(normalised(), CPU, Choices(tmp_path / FILE))) == PLAIN and not asked
    placed(normalised("smaller"), CPU, Choices(tmp_path / FILE))  # another network is another matter
    assert asked
    monkeypatch.setattr("engine.layouts.described", lambda device: "another device")
    assert Choices(tmp_path / FILE).get(small_model.card(), CPU) is None


def test_a_network_that_was_removed_from_memory_is_not_measured_again(monkeypatch, tmp_path):
    monkeypatch.setenv("FOOLSCOPE_HOME", str(tmp_path))
    trial, begun = placement.Trial, list[str]()

    def noted(model, device):
        begun.append(model.card.name)
        return trial(model, device)

    monkeypatch.setattr(placement, "Trial", noted)
    x = torch.full((1, 1, 28, 28), 0.5)
    pool = ModelPool(CPU)
    first = pool.get("lenet")(x)
    pool.forget("lenet")
    assert torch.equal(pool.get("lenet")(x), first) and torch.equal(ModelPool(CPU).get("lenet")(x), first)
    assert begun == ["lenet"] and (tmp_path / FILE).is_file()


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"model": 1}]', '{"a": {}}', "[]"])
def test_a_damaged_file_is_written_anew(caplog, monkeypatch, tmp_path, text):
    (tmp_path / FILE).write_text(text)
    timed(monkeypatch, rule=1.0, plain=0.5, unfolded=1.0)
    assert layout_of(placed(normalised(), CPU, Choices(tmp_path / FILE))) == PLAIN
    assert ("cannot be read" in caplog.text) is (text != "[]")
    (line,) = json.loads((tmp_path / FILE).read_text())
    assert line["model"] == "small" and line["layout"] == {"folded": True, "channels_last": False}


def test_a_file_that_cannot_be_written_is_logged_and_memory_serves(caplog, tmp_path):
    (tmp_path / "file").write_text("in the way of a folder")
    choices, card = Choices(tmp_path / "file" / FILE), small_model.card()
    choices.remember(Choice(*key_of(card, CPU), RULE))
    choice = choices.get(card, CPU)
    assert "cannot be written" in caplog.text and choice is not None and choice.layout == RULE


def test_what_is_remembered_is_measured_again_where_its_gradient_is_wrong_now(monkeypatch, tmp_path):
    """The CPU plays the other device, under that one's name."""
    choices, model, other = Choices(tmp_path / FILE), flawed(torch.channels_last), torch.device("meta")
    choices.remember(Choice(*key_of(model.card, other), Layout(False, True)))
    trial = placement.Trial
    monkeypatch.setattr(placement, "Trial", lambda model, device: trial(model, CPU))
    placed(model, other, choices)
    choice = Choices(tmp_path / FILE).get(model.card, CPU)
    assert choice is not None and choice.layout == Layout(False, False)
    (rejected,) = choice.rejected
    assert rejected.layout == Layout(False, True) and rejected.difference > placement.TOLERANCE


def test_a_network_for_which_there_is_no_time_goes_by_the_rule_and_is_measured_later(monkeypatch, tmp_path):
    asked = timed(monkeypatch, rule=1.0, plain=0.5, unfolded=1.0)
    monkeypatch.setattr(placement, "MOST_SECONDS", 0.0)
    assert layout_of(placed(normalised(), CPU, Choices(tmp_path / FILE))) == RULE
    assert not asked and not (tmp_path / FILE).exists()


def test_a_device_with_no_memory_for_two_layouts_runs_the_rule_s(caplog, monkeypatch):
    real = placement.Trial.laid_out

    def full(self: placement.Trial, layout: Layout) -> Classifier:
        if len(self.layouts) > 1:
            raise RuntimeError("MPS backend out of memory")
        return real(self, layout)

    monkeypatch.setattr(placement.Trial, "laid_out", full)
    assert layout_of(placed(normalised(), CPU)) == RULE
    assert "there is no memory on cpu to measure" in caplog.text


def test_a_network_that_cannot_be_placed_is_left_as_it_was(monkeypatch):
    def broken(self: placement.Trial, layout: Layout) -> Classifier:
        self.model.network = nn.Identity()
        raise RuntimeError("out of memory")

    monkeypatch.setattr(placement.Trial, "laid_out", broken)
    model = normalised()
    network = model.network
    with pytest.raises(RuntimeError, match="out of memory"):
        placed(model, CPU)
    assert model.network is network


def test_a_failed_fold_is_logged_and_the_network_runs_unfolded(caplog):
    class Branching(Normalised):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x if x.mean() > 0 else x.flip(-1))

    model = Classifier(small_model.card(), Branching())
    x = torch.rand(1, 3, small_model.SIZE, small_model.SIZE)
    before = model(x)
    assert not layout_of(placed(model, CPU)).folded and torch.allclose(model(x), before, atol=1e-6)
    assert "batch norm of Branching was not folded" in caplog.text
