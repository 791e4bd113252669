"""Tensors of a file put into a network: which are missing, which are too many, what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from errors import BadNetwork
from models import weights
from models.core import WeightsFile

KEPT = "weights.safetensors"
CLASSES = 1000


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name that a file holds, safetensors or PyTorch's own read as plain tensors.

    Raises `errors.WeightsError` when it is neither, or is not what its header says.
    """
    return weights.read(weights.Found(path, WeightsFile(path.name, "")))


def put(tensors: Mapping[str, Tensor], network: nn.Module) -> nn.Module:
    """Return ``network`` with the tensors, one for one; raises `errors.BadNetwork`."""
    try:
        network.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise BadNetwork("The file does not fit the network: {reason}", reason=reason) from error
    return network.eval()


def keep(network: nn.Module, folder: Path) -> None:
    """Write the network's tensors into ``folder``, as `KEPT`."""
    save_file(
        {name: tensor.contiguous().clone() for name, tensor in network.state_dict().items()}, folder / KEPT
    )


def classes(values: Mapping[str, Tensor], network: nn.Module) -> int:
    """Return for how many classes a file's tensors are, compared with the same ``network`` for 1,000: the
    length of its last tensor, where they differ in nothing else.
    """
    own = network.state_dict()
    lengths = [
        len(values[name])
        for name, tensor in own.items()
        if name in values and tensor.ndim and values[name].shape[1:] == tensor.shape[1:]
        if len(values[name]) != len(tensor)
    ]
    return lengths[-1] if lengths else CLASSES
