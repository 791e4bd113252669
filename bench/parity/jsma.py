"""JSMA beside torchattacks' and ART's, targeted."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn

from attacks.contract import Criterion
from attacks.jsma import JSMA
from attacks.toolkit import norms
from bench.parity import _curved as curved
from bench.parity import _peers as peers


def rows() -> list[dict[str, object]]:
    """Return the comparisons; a library that is not installed is left out."""
    net, x, criterion = curved.case(True)
    x = torch.where(x > 0.98, 1, x)  # torchattacks takes .99 for the end of the scale
    found = []
    for gamma in (1 / 48, 1.0):  # an even number of values: torchattacks rounds pairs up, we down
        ours = curved.run(JSMA(gamma=gamma, steps=500), net, x, criterion)[-1].x
        what = f"theta 1, gamma {gamma:.3g}, targeted"
        if name := peers.version("torchattacks"):
            theirs = peers.torchattack("JSMA", net, x, criterion, theta=1.0, gamma=gamma)
            found.append(curved.row(name, what, ours, theirs))
        if name := peers.version("ART"):
            theirs = _art(net, x, criterion, gamma)
            found.append(curved.row(name, what, ours, theirs, _why(net, x, criterion, ours, theirs)))
    return found


def _art(net: nn.Module, x: Tensor, criterion: Criterion, gamma: float) -> Tensor:
    classifier = importlib.import_module("art.estimators.classification").PyTorchClassifier(
        model=net,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=10,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    kind = importlib.import_module("art.attacks.evasion").SaliencyMapMethod
    attack = kind(classifier, theta=1.0, gamma=gamma, batch_size=len(x), verbose=False)
    return torch.from_numpy(attack.generate(x.numpy(), criterion.label.numpy()))


def _why(net: nn.Module, x: Tensor, criterion: Criterion, ours: Tensor, theirs: Tensor) -> str:
    tally = [
        f"{int(criterion.met(net(adv)).sum())} fooled, {norms.l0(adv - x).mean():.0f} values changed"
        for adv in (ours, theirs)
    ]
    return f"ART's map leaves the other classes out (ours: {tally[0]}; theirs: {tally[1]})"
