"""Tensors of a file put into a network: where they stand, what they are called, what does not fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torchvision.models
from safetensors.torch import save_file
from torch import Tensor, nn

from errors import BadNetwork
from models.added import tensors
from models.added.tensors import Filled, fill


def empty(classes: int, width: int = 6) -> nn.Module:
    """Return a small network with a batch norm, as an architecture of a library."""
    parts = OrderedDict(
        stem=nn.Conv2d(3, width, 3),
        norm=nn.BatchNorm2d(width),
        pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        fc=nn.Linear(width, classes),
    )
    return nn.Sequential(parts)


def drawn(classes: int, width: int = 6) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return empty(classes, width).eval()


def filled(folder: Path, content: object) -> Filled:
    torch.save(content, folder / "a.pth")
    return fill(folder / "a.pth", empty)


def said(result: Filled) -> list[str]:
    return [str(note) for note in result.notes]


def same(result: Filled, network: nn.Module) -> bool:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return torch.equal(result.network(x), network(x))


def prefixed(values: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in values.items()}


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", "ema"])
def test_tensors_under_a_key_are_taken_and_it_is_said(tmp_path: Path, key: str) -> None:
    network = drawn(7)
    result = filled(tmp_path, {"epoch": 3, key: network.state_dict(), "best": 0.5, "args": {"lr": 0.1}})
    assert same(result, network) and result.classes == 7
    assert said(result) == [f"Its tensors stand under “{key}”.", "The file is for 7 classes."]


def test_of_several_the_likelier_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    network, other = drawn(7), empty(7)
    result = filled(
        tmp_path, {"model_ema": other.state_dict(), "model": {"state_dict": network.state_dict()}}
    )
    assert same(result, network)
    words = "under “model / state_dict”; there are others under model_ema, which were not taken."
    assert said(result)[0] == f"Its tensors stand {words}"


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "backbone.", "net.", "_orig_mod.", "encoder.", "module.model._orig_mod."]
)
def test_a_prefix_is_taken_off_and_it_is_said(tmp_path: Path, prefix: str) -> None:
    network = drawn(1000)
    result = filled(tmp_path, prefixed(network.state_dict(), prefix))
    assert same(result, network) and result.classes == 1000
    assert said(result) == [f"The names of its tensors begin with “{prefix}”, which was taken off."]


def test_tensors_of_training_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    network = drawn(7)
    values = prefixed(network.state_dict(), "module.")
    extra = {
        "module.aux1.fc.weight": torch.ones(2),
        "n_averaged": torch.tensor(3),
        "criterion.w": torch.ones(1),
    }
    result = filled(tmp_path, {**values, **extra, "note": "hello"})
    assert same(result, network)
    assert said(result)[0] == "What is no tensor was left out: note."
    assert said(result)[2].startswith("3 tensors that only training used were left out (aux1.fc.weight")


def test_what_old_files_lack_is_not_missed(tmp_path: Path) -> None:
    network = drawn(7)
    values = {n: v for n, v in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert same(filled(tmp_path, values), network)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_numbers_become_float32_and_it_is_said(tmp_path: Path, kind: torch.dtype) -> None:
    network = drawn(7)
    save_file(network.to(kind).state_dict(), tmp_path / "a.safetensors")
    result = fill(tmp_path / "a.safetensors", empty)
    assert same(result, network.float()) and str(kind)[6:] in said(result)[0]


def refusal(folder: Path, values: Mapping[str, Tensor]) -> str:
    with pytest.raises(BadNetwork) as caught:
        filled(folder, values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_does_not_fit_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    values = dict(drawn(7).state_dict())
    renamed = {name.replace("stem.weight", "stem.wight"): value for name, value in values.items()}
    words = (
        "The file does not fit the network: 1 of 9 tensors are missing (stem.weight – stem.wight?), and 1 are"
    )
    assert refusal(tmp_path, renamed) == f"{words} too many (stem.wight)."
    lacking = {name: value for name, value in values.items() if not name.startswith(("norm", "fc.bias"))}
    words = "5 of 9 tensors are missing (norm.weight, norm.bias, norm.running_mean, …)."
    assert refusal(tmp_path, lacking).endswith(words)
    more = values | {f"deep.{i}": torch.ones(1) for i in range(9)}
    assert refusal(tmp_path, more).endswith("it has 9 tensors too many (deep.0, deep.1, deep.2, …).")
    wider = dict(drawn(7, width=8).state_dict())
    words = "7 of its tensors have another shape (stem.weight: 6 x 3 x 3 x 3 expected, 8 x 3 x 3 x 3 came; "
    assert words in refusal(tmp_path, wider)


def test_a_network_that_asks_for_its_version_is_filled(tmp_path: Path) -> None:
    def mnasnet(classes: int) -> nn.Module:
        network: nn.Module = torchvision.models.mnasnet0_5(num_classes=classes).eval()
        return network

    save_file(mnasnet(3).state_dict(), tmp_path / "a.safetensors")
    assert fill(tmp_path / "a.safetensors", mnasnet).classes == 3


def test_a_name_that_two_prefixes_share_is_not_lost(tmp_path: Path) -> None:
    values = dict(drawn(7).state_dict())
    assert "too many" in refusal(tmp_path, values | {"module.fc.bias": torch.ones(7)})


def test_classes_are_read_off_the_head_alone(tmp_path: Path) -> None:
    for classes in (1, 2, 1000, 1001):
        assert filled(tmp_path, drawn(classes).state_dict()).classes == classes
    assert tensors.classes({}, empty(1000)) == 1000


def test_what_is_kept_comes_back_to_the_bit(tmp_path: Path) -> None:
    network = drawn(3)
    network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    tensors.keep(network, tmp_path)
    values = tensors.stored(tmp_path)
    assert values.keys() == network.state_dict().keys()
    assert all(torch.equal(value, values[name]) for name, value in network.state_dict().items())
