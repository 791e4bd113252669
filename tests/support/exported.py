"""A small real network written down in every kind of file that networks are added from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
import torchvision.models
from onnx import TensorProto, helper, numpy_helper
from torch import nn

SIDE, CLASSES = 64, 7


def shufflenet(seed: int = 0) -> nn.Module:
    """Return a ShuffleNet for 7 classes with random weights, its batch norms not at rest."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: nn.Module = torchvision.models.shufflenet_v2_x0_5(num_classes=CLASSES).eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean.uniform_(-0.1, 0.1)
    return network.requires_grad_(False)


def few_layers() -> nn.Module:
    """Return a network of a few layers for 7 classes: a program of torch.export takes seconds to write and to
    read for the hundreds of a ShuffleNet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(8)
        body = [nn.Conv2d(3, 8, 3, 2, bias=False), norm, nn.ReLU(), nn.MaxPool2d(3, 2)]
        body += [nn.Conv2d(8, 16, 3, 2, groups=2), nn.AdaptiveAvgPool2d(1)]
        network = nn.Sequential(*body, nn.Flatten(), nn.Linear(16, CLASSES)).eval()
        assert norm.running_mean is not None
        norm.running_mean.uniform_(-0.1, 0.1)
    return network.requires_grad_(False)


def images(n: int = 2) -> torch.Tensor:
    """Return normalised images ``(n, 3, 64, 64)``."""
    return torch.rand((n, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1))


def to_onnx(network: nn.Module, path: Path) -> Path:
    """Write the network as ONNX, for one image at a time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (images(1),), str(path), dynamo=False, input_names=["x"])
    return path


def to_torchscript(network: nn.Module, path: Path) -> Path:
    """Write the network as a traced TorchScript program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, images()), str(path))
    return path


def to_export(network: nn.Module, path: Path, *, dynamic: bool) -> Path:
    """Write the network as a program of torch.export, for any number of images or for one."""
    shapes = ({0: torch.export.Dim("n", min=1, max=64)},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network, (images(2 if dynamic else 1),), dynamic_shapes=shapes)
        torch.export.save(program, path)
    return path


def graph(
    *nodes: onnx.NodeProto,
    inputs: Sequence[onnx.ValueInfoProto] = (),
    opset: int = 20,
    **tensors: torch.Tensor,
) -> onnx.ModelProto:
    """Return an ONNX model of these nodes from ``x`` ``(n, 3, 8, 8)`` to ``y``, with constant tensors."""
    given = inputs or [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])]
    constants = [numpy_helper.from_array(value.numpy(), name) for name, value in tensors.items()]
    made = helper.make_graph(list(nodes), "g", given, outputs, constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
