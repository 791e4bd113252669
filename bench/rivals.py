"""Minimal attacks of several libraries under the same settings: what ``python -m bench.quality`` compares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import attacks
from attacks.contract import Criterion, walk
from bench.parity._peers import version
from bench.parity._smallest import Finder, adv_lib, art, foolbox, torchattack

ORDERS = {"linf": float("inf"), "l2": 2, "l1": 1, "l0": 0}
FOOLBOX_FMN = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack", "l1": "L1FMNAttack", "l0": "L0FMNAttack"}
ROUNDS = {"binary_search_steps": 4, "initial_const": 0.1}


@dataclass(frozen=True)
class Contest:
    """One attack under the same settings in several libraries.

    ``norm``: what its changes are measured by. ``targeted``: it can only aim at a class. ``many``: it asks
    for the gradient of every class, which on a thousand classes no one waits for.
    """

    attack: str
    norm: str
    rivals: dict[str, Finder]
    targeted: bool = False
    many: tuple[str, ...] = ()


def ours(name: str, **params: Any) -> Finder:
    """Return our attack as a function of network, pictures and criterion."""

    def find(network: nn.Module, x: Tensor, criterion: Criterion) -> Tensor:
        last, search = x, attacks.get(name)(**params).search
        for step in walk(search(x, criterion, torch.Generator().manual_seed(0)), network, criterion):
            last = step.x
        return last

    return find


def contests() -> Iterator[Contest]:
    """Yield every contest, with the libraries that are installed."""
    for contest in (_deepfool(), _ddn(), _carlini_wagner(), _ead(), _jsma(), _sigma_zero(), *_by_norm()):
        here = {name: find for name, find in contest.rivals.items() if name == "Foolscope" or version(name)}
        yield Contest(contest.attack, contest.norm, here, contest.targeted, contest.many)


def _deepfool() -> Contest:
    rivals = {
        "Foolscope": ours("deepfool", steps=50, candidates=10, each_step=True),
        "foolbox": foolbox("L2DeepFoolAttack", steps=50, candidates=10, overshoot=0.02),
        "adv_lib": adv_lib("df", steps=50, overshoot=0.02),
        "torchattacks": torchattack("DeepFool", steps=50, overshoot=0.02),
        "ART": art("DeepFool", max_iter=50, epsilon=0.02, nb_grads=10, batch_size=128),
    }
    return Contest("deepfool", "l2", rivals, many=("adv_lib", "torchattacks"))


def _ddn() -> Contest:
    rivals = {
        "Foolscope": ours("ddn", steps=100),
        "foolbox": foolbox("DDNAttack", steps=100),
        "adv_lib": adv_lib("ddn", steps=100, levels=None),
    }
    return Contest("ddn", "l2", rivals)


def _carlini_wagner() -> Contest:
    rivals = {
        "Foolscope": ours("carlini_wagner", search_steps=4, steps=60, step_size=0.05, initial_const=0.1),
        "foolbox": foolbox("L2CarliniWagnerAttack", steps=60, stepsize=0.05, abort_early=False, **ROUNDS),
        "adv_lib": adv_lib(
            "carlini_wagner_l2", max_iterations=60, learning_rate=0.05, abort_early=False, **ROUNDS
        ),
        "torchattacks": torchattack("CW", c=1, kappa=0, steps=240, lr=0.05),
        "ART": art("CarliniL2Method", max_iter=60, learning_rate=0.05, batch_size=128, **ROUNDS),
    }
    return Contest("carlini_wagner", "l2", rivals, many=("ART",))


def _ead() -> Contest:
    rounds = {"binary_search_steps": 4, "initial_const": 1.0}
    rivals = {
        "Foolscope": ours("ead", search_steps=4, steps=60, initial_const=1.0, rule="l1", square=0.0),
        "foolbox": foolbox(
            "EADAttack", steps=60, regularization=0.001, decision_rule="L1", abort_early=False, **rounds
        ),
        "torchattacks": torchattack("EADL1", max_iterations=60, abort_early=False, **rounds),
        "ART": art("ElasticNet", max_iter=60, batch_size=128, decision_rule="L1", **rounds),
    }
    return Contest("ead", "l1", rivals, many=("ART",))


def _jsma() -> Contest:
    rivals = {
        "Foolscope": ours("jsma", gamma=0.2, steps=80, others=False),
        "torchattacks": torchattack("JSMA", theta=1.0, gamma=0.2),
        "ART": art("SaliencyMapMethod", theta=1.0, gamma=0.2, batch_size=128),
    }
    return Contest("jsma", "l0", rivals, targeted=True, many=("Foolscope", "torchattacks", "ART"))


def _sigma_zero() -> Contest:
    rivals = {"Foolscope": ours("sigma_zero", steps=100), "adv_lib": adv_lib("sigma_zero", num_steps=100)}
    return Contest("sigma_zero", "l0", rivals)


def _by_norm() -> Iterator[Contest]:
    for norm, order in ORDERS.items():
        rivals = {
            "Foolscope": ours("fmn", norm=norm, steps=100),
            "foolbox": foolbox(FOOLBOX_FMN[norm], steps=100),
            "adv_lib": adv_lib("fmn", norm=order, steps=100),
        }
        yield Contest("fmn", norm, rivals)
    for norm in ("linf", "l2", "l1"):
        rivals = {
            "Foolscope": ours("fab", norm=norm, steps=50, candidates=9),
            "adv_lib": adv_lib("fab", norm=ORDERS[norm], n_iter=50),
        }
        if norm != "l1":  # which torchattacks lacks, though it says otherwise
            rivals["torchattacks"] = torchattack("FAB", norm=norm.capitalize(), eps=1e6, steps=50)
        yield Contest("fab", norm, rivals, many=("Foolscope", "adv_lib", "torchattacks"))
