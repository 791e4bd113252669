"""The device that networks run on: which one, whether its memory is full, and one copy back from it."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

import settings
from engine.scheduler import BATCH
from errors import BadSetting

FULL = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")
"""What a full device says, in lower case: MPS and the CPU raise a plain RuntimeError with one of these."""

CPU_BATCH = 16
"""Rows of a batch at most on a processor."""


def pick_device() -> torch.device:
    """Return ``FOOLSCOPE_DEVICE``, else CUDA, else MPS, else the CPU.

    Raises `errors.BadSetting` when the one that is named is not there.
    """
    named = settings.device()
    if named:
        try:
            return torch.empty(0, device=named).device
        except (RuntimeError, AssertionError) as error:
            raise BadSetting(
                f"Expected FOOLSCOPE_DEVICE to name a device of this machine (cpu, cuda, mps), got “{named}”."
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def described(device: torch.device) -> str:
    """Return what kind of device it is, as far as that bears on how fast layouts are."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{device.type} ({platform.machine()}, {capability}, {threads} threads)"


def batch_rows(device: torch.device) -> int:
    """Return how many rows of a batch are best at most. What a processor computes for more than some 16
    pictures of 224 x 224 does not fit its caches: a row took 1.1 (the everyday network) to 1.5 times as long
    (EfficientNet Lite0) in batches of 32."""
    return CPU_BATCH if device.type == "cpu" else BATCH


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that the device has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in FULL)


def free_memory(device: torch.device) -> None:
    """Give back to the device what torch holds of its memory and does not use."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def trim() -> None:
    """Give back to the system what this process has freed. Elsewhere than with glibc nothing happens.

    It keeps the memory of large arrays for later ones: after some hundred runs more than all that is in use.
    """
    if sys.platform == "linux":
        release = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if release is not None:  # other libraries than glibc have none
            release(0)


def to_cpu(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return, as float32 on the CPU, tensors of any shapes that lie on one device: in one transfer, and
    without a copy of those that are there already."""
    if not tensors or tensors[0].device.type == "cpu":
        return [tensor.detach().float() for tensor in tensors]
    return unpacked(packed(tensors).cpu(), tensors)


def packed(tensors: Sequence[Tensor]) -> Tensor:
    """Return all values of tensors as one float32 row."""
    return torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])


def unpacked(row: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the parts of a row that was `packed`, in the shapes of ``tensors``."""
    parts = row.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]
