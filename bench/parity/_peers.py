"""The other libraries, each called the same way; imported when asked for."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from typing import Any

import torch
from torch import Tensor, nn

from attacks.contract import Criterion

PACKAGES = {
    "ART": ("art", "adversarial-robustness-toolbox"),
    "adv_lib": ("adv_lib", "adv-lib"),
    "torchattacks": ("torchattacks", "torchattacks"),
    "foolbox": ("foolbox", "foolbox"),
}


def version(library: str) -> str | None:
    """Return the library's name and version, or None where it is not installed."""
    module, package = PACKAGES[library]
    if importlib.util.find_spec(module) is None:
        return None
    return f"{library} {importlib.metadata.version(package)}"


def torchattack(name: str, net: nn.Module, x: Tensor, criterion: Criterion, **settings: Any) -> Tensor:
    """Return the pictures of the torchattacks class ``name``."""
    attack = getattr(importlib.import_module("torchattacks"), name)(net, **settings)
    if criterion.targeted:
        attack.set_mode_targeted_by_label(quiet=True)
    found: Tensor = attack(x, criterion.label)
    return found.detach()


def art(name: str, net: nn.Module, x: Tensor, criterion: Criterion, **settings: Any) -> Tensor:
    """Return the pictures of the ART evasion attack ``name``."""
    classifier = importlib.import_module("art.estimators.classification").PyTorchClassifier(
        model=net,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=net(x).shape[1],
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )
    kind = getattr(importlib.import_module("art.attacks.evasion"), name)
    if "targeted" in kind.attack_params:
        settings["targeted"] = criterion.targeted
    if "verbose" in kind.attack_params:
        settings["verbose"] = False
    attack = kind(classifier, **settings)
    label = criterion.label if name != "SimBA" else nn.functional.one_hot(criterion.label, net(x).shape[1])
    return torch.from_numpy(attack.generate(x.numpy(), label.numpy()))


def foolbox(
    name: str, net: nn.Module, x: Tensor, criterion: Criterion, epsilon: float | None, **settings: Any
) -> Tensor:
    """Return the pictures of the foolbox attack ``name``, before it looks which are adversarial.

    ``epsilon``: None for an attack that looks for the smallest change.
    """
    criteria = importlib.import_module("foolbox.criteria")
    rule = criteria.TargetedMisclassification if criterion.targeted else criteria.Misclassification
    model = importlib.import_module("foolbox.models.pytorch").PyTorchModel(net, bounds=(0, 1), device="cpu")
    attack = getattr(importlib.import_module("foolbox.attacks"), name)(**settings)
    budget = {} if epsilon is None else {"epsilon": epsilon}
    found: Tensor = attack.run(model, x, rule(criterion.label), **budget)
    return found
