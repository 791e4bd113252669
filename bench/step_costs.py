"""What a step costs: the engine, foolbox and torchattacks beside a bare loop, in one interleaved run.

All take the same PGD steps (linf, one image) on the same weights. The bare loop and the libraries have the
plain network, as it comes from its file, frozen; the engine prepares its own. The floor is what the
multiply-adds of a forward pass and of the input's gradient cost at the rate at which this machine convolves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

import models
from bench.figures import Figure, figure
from bench.parity._peers import version
from bench.steps import recipe, through_engine
from engine.engine import Engine
from models import weights
from models.core import Classifier

NETWORKS = (models.FIRST, "photos", "googlenet", "mobilenet_v2", "resnet18", "resnet50")
EPSILON, SIZE = 8 / 255, 1 / 255
Loop = Callable[[], object]


def step_costs(engine: Engine, steps: int, repeats: int, names: Sequence[str] = NETWORKS) -> list[Figure]:
    """Measure every network whose weights are here."""
    here = [name for name in names if weights.locate(models.card(name))]
    rate = convolution_rate()
    return [figure for name in here for figure in _network(engine, name, steps, repeats, rate)]


def _network(engine: Engine, name: str, steps: int, repeats: int, rate: float) -> Iterator[Figure]:
    """Yield the costs of one network's steps as parts of the bare loop's."""
    plain, what = plain_network(name), recipe(name, steps)
    x = torch.from_numpy(engine.preprocess(what))[None]
    label = plain(x).argmax(1)
    loops: dict[str, Loop] = {"bare": partial(bare, plain, x, label, steps)}
    loops["engine"] = partial(through_engine, engine, what)
    loops |= libraries(plain, x, label, steps)
    taken: dict[str, list[float]] = {loop: [] for loop in loops}
    for turn in range(repeats + 1):
        for loop, run in loops.items():
            seconds = _seconds(run)
            if turn:  # the first warms up
                taken[loop].append(seconds)
    for loop in loops:
        if loop != "bare":
            ratios = [a / b for a, b in zip(taken[loop], taken["bare"], strict=True)]
            goal = ("at most 1", lambda v: v <= 1) if loop == "engine" else ("", lambda v: True)
            yield figure(f"steps_{name}_{loop}", f"{name}: a step, {loop} / bare", ratios, "", *goal)
    floor = 2 * multiply_adds(plain, x) * steps / rate
    parts = [floor / seconds for seconds in taken["bare"]]
    yield figure(
        f"steps_{name}_floor", f"{name}: a step, physical floor / bare", parts, "", "", lambda v: True
    )


def plain_network(name: str) -> Classifier:
    """Return the model as its file has it: nothing folded, nothing rearranged."""
    entry = models.registry()[name]
    network = entry.build()
    network.load_state_dict(weights.read(weights.fetch(entry.card)))
    return Classifier(entry.card, network)


def bare(network: nn.Module, x: Tensor, label: Tensor, steps: int) -> Tensor:
    """Take the steps with nothing around them."""
    adv = x
    for _ in range(steps):
        adv = adv.detach().requires_grad_()
        (grad,) = torch.autograd.grad(functional.cross_entropy(network(adv), label), adv)
        adv = (adv.detach() + SIZE * grad.sign()).clamp(0, 1)
        adv = torch.maximum(torch.minimum(adv, x + EPSILON), x - EPSILON)
    return adv


def libraries(network: Classifier, x: Tensor, label: Tensor, steps: int) -> dict[str, Loop]:
    """Return the loops of the libraries that are installed."""
    loops: dict[str, Loop] = {}
    if version("foolbox"):
        import foolbox

        wrapped = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")
        attack = foolbox.attacks.LinfPGD(abs_stepsize=SIZE, steps=steps, random_start=False)
        loops["foolbox"] = partial(attack.run, wrapped, x, label, epsilon=EPSILON)
    if version("torchattacks"):
        import torchattacks

        loops["torchattacks"] = partial(
            torchattacks.PGD(network, EPSILON, SIZE, steps, random_start=False), x, label
        )
    return loops


def multiply_adds(network: nn.Module, x: Tensor) -> int:
    """Return how many multiply-adds the convolutions and matrices of one forward pass take."""
    counted = [0]

    def count(module: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            counted[0] += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            counted[0] += output.numel() * module.in_features

    hooks = [module.register_forward_hook(count) for module in network.modules()]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return counted[0]


def convolution_rate(repeats: int = 7) -> float:
    """Return the multiply-adds a second of a convolution that suits this machine: the best of ``repeats``."""
    x, weight = torch.rand(1, 128, 56, 56), torch.rand(128, 128, 3, 3)
    run = partial(functional.conv2d, x, weight, padding=1)
    run()
    return x.numel() * weight[0].numel() / min(_seconds(run) for _ in range(repeats))


def _seconds(run: Loop) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun
