"""Spatial attack beside scipy's resampling."""

from __future__ import annotations

import importlib
import math
from importlib import metadata

import numpy as np
import torch
from torch import Tensor

from attacks.spatial import Spatial, move
from bench.parity import _curved as curved


def rows() -> list[dict[str, object]]:
    """Return the comparison; left out where scipy is not installed."""
    try:
        name = f"scipy {metadata.version('scipy')}"
    except metadata.PackageNotFoundError:
        return []
    _, x, _ = curved.case(False, torch.float64)
    ways = Spatial(angles=7, shifts=3).grid()
    ours = move(x, ways)
    theirs = torch.stack([_scipy(x, *way) for way in ways.tolist()])
    return [curved.row(name, f"{len(ways)} turns and shifts, bilinear, black beyond the edge", ours, theirs)]


def _scipy(x: Tensor, degrees: float, right: float, down: float) -> Tensor:
    affine_transform = importlib.import_module("scipy.ndimage").affine_transform
    size = np.array(x.shape[2:])
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    back = np.array([[cos, sin], [-sin, cos]])
    middle = (size - 1) / 2
    offset = middle - back @ (middle + np.array([down, right]) * size)
    planes = [
        affine_transform(plane, back, offset, order=1, mode="grid-constant")
        for plane in x.flatten(0, 1).numpy()
    ]
    return torch.from_numpy(np.stack(planes)).view_as(x)
