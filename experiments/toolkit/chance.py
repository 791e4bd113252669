"""Random numbers that follow from whole numbers: a seed, and what they are for."""

from __future__ import annotations

import numpy as np
import torch


def seeded(*numbers: int) -> torch.Generator:
    """Return a generator that follows from all ``numbers``, none of them below 0; other numbers give streams
    that have nothing to do with it (`numpy.random.SeedSequence`)."""
    first = np.random.SeedSequence(numbers).generate_state(1)[0]
    return torch.Generator().manual_seed(int(first))
