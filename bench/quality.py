"""How good the minimal attacks are, beside other libraries', at equal numbers of steps.

``python -m bench.quality``: success, median l2 and gradients per picture, in one run, on MNIST networks and
on ``mobilenet_v2`` with photos. Reads ``FOOLSCOPE_DATA`` and ``FOOLSCOPE_WEIGHTS``; the libraries are those
of ``requirements-parity.txt``, and one that is not installed is left out. Writes ``quality.json`` and the
table in this folder's README.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

import attacks
import models
from attacks.core import Criterion, walk
from bench.figures import HERE
from models.train.data import data_root, read_mnist

BEGIN, END = "<!-- quality: begin -->", "<!-- quality: end -->"
Solver = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Result:
    """One attack of one library on one network: ``success`` in [0, 1], ``l2`` the median length of the
    change among successes (all libraries' common pictures), ``gradients`` per picture."""

    network: str
    attack: str
    library: str
    pictures: int
    success: float
    l2: float
    gradients: float
    seconds: float


class Counting(nn.Module):
    """A network that counts the rows whose gradient may be asked for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.rows = network, 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's logits ``(n, classes)``."""
        self.rows += len(x) if x.requires_grad else 0
        logits: Tensor = self.network(x)
        return logits


def ours(name: str, **params: Any) -> Solver:
    """Return our attack as a function of network, pictures and labels."""

    def solve(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        criterion, last = Criterion(y, targeted=False), x
        search = attacks.get(name)(**params).search(x, criterion, torch.Generator().manual_seed(0))
        for step in walk(search, network, criterion):
            last = step.x
        return last

    return solve


def solvers() -> Iterator[tuple[str, str, Solver]]:
    """Yield (attack, library, function) for whatever is installed."""
    yield "deepfool", "Foolscope", ours("deepfool", steps=50)
    yield "ddn", "Foolscope", ours("ddn", steps=100)
    yield "carlini_wagner", "Foolscope", ours("carlini_wagner", search_steps=4, steps=60)
    yield "fmn", "Foolscope", ours("fmn", norm="l2", steps=100)
    for library in (_foolbox, _adv_lib, _torchattacks, _art):
        try:
            yield from library()
        except ImportError as missing:
            print(f"left out: {missing.name} is not installed")


def _foolbox() -> Iterator[tuple[str, str, Solver]]:
    import foolbox
    from foolbox.attacks import DDNAttack, L2CarliniWagnerAttack, L2DeepFoolAttack

    def run(attack: Any) -> Solver:
        def solve(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            wrapped = foolbox.models.PyTorchModel(network, bounds=(0, 1))
            adv: Tensor = attack.run(wrapped, x, foolbox.criteria.Misclassification(y))
            return adv

        return solve

    yield "deepfool", "foolbox", run(L2DeepFoolAttack(steps=50, overshoot=0.02))
    yield "ddn", "foolbox", run(DDNAttack(steps=100))
    yield "carlini_wagner", "foolbox", run(L2CarliniWagnerAttack(4, 60, 0.05, initial_const=0.1))


def _adv_lib() -> Iterator[tuple[str, str, Solver]]:
    from adv_lib.attacks import carlini_wagner_l2, ddn, df, fmn

    yield "deepfool", "adv_lib", lambda net, x, y: df(net, x, y, steps=50, overshoot=0.02)
    yield "ddn", "adv_lib", lambda net, x, y: ddn(net, x, y, steps=100, levels=None)
    yield "fmn", "adv_lib", lambda net, x, y: fmn(net, x, y, norm=2, steps=100)
    yield (
        "carlini_wagner",
        "adv_lib",
        lambda net, x, y: carlini_wagner_l2(
            net, x, y, binary_search_steps=4, max_iterations=60, learning_rate=0.05, initial_const=0.1
        ),
    )


def _torchattacks() -> Iterator[tuple[str, str, Solver]]:
    import torchattacks

    yield "deepfool", "torchattacks", lambda net, x, y: torchattacks.DeepFool(net, 50, 0.02)(x, y)


def _art() -> Iterator[tuple[str, str, Solver]]:
    from art.attacks.evasion import DeepFool
    from art.estimators.classification import PyTorchClassifier

    def solve(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        classes = int(network(x[:1]).shape[1])
        wrapped = PyTorchClassifier(
            network, nn.CrossEntropyLoss(), tuple(x.shape[1:]), classes, clip_values=(0, 1)
        )
        attack = DeepFool(wrapped, max_iter=50, epsilon=0.02, nb_grads=10, batch_size=len(x), verbose=False)
        return torch.from_numpy(attack.generate(x.numpy()))

    yield "deepfool", "ART", solve


def material(name: str, count: int) -> tuple[nn.Module, Tensor]:
    """Return a network and pictures ``(n, c, h, w)`` for it."""
    network, root = models.load(name), data_root()
    if network.card.channels == 1:
        digits, _ = read_mnist(root, train=False)
        return network, digits[:count].float().view(-1, 1, 28, 28) / 255
    with (root / "photos.tsv").open(encoding="utf-8") as file:
        paths = [root / line["file"] for line in csv.DictReader(file, delimiter="\t")][:count]
    return network, torch.stack([_see(network.card, path) for path in paths])


def _see(card: models.core.Card, path: Path) -> Tensor:
    with Image.open(path) as picture:
        return card.see(picture.convert("RGB"))


def measure(network_name: str, count: int) -> list[Result]:
    """Return the results of every solver on one network; medians over pictures that all of them fooled."""
    network, x = material(network_name, count)
    with torch.no_grad():
        y = network(x).argmax(1)
    found = []
    for attack, library, solve in solvers():
        counting, begun = Counting(network), time.perf_counter()
        adv = solve(counting, x.clone(), y.clone()).detach().float()
        seconds = time.perf_counter() - begun
        with torch.no_grad():
            fooled = (network(adv).argmax(1) != y) & (adv.min() >= 0) & (adv.max() <= 1)
        size = (adv - x).flatten(1).norm(dim=1)
        found.append((attack, library, fooled, size, counting.rows / len(x), seconds))
        print(network_name, attack, library, f"{float(fooled.float().mean()):.2f}", flush=True)
    return list(_results(network_name, len(x), found))


def _results(network: str, count: int, found: list[tuple[Any, ...]]) -> Iterator[Result]:
    for attack, library, fooled, size, gradients, seconds in found:
        same = [other[2] for other in found if other[0] == attack and other[2].any()]
        common = torch.stack(same).all(0) if same else fooled
        l2 = float(size[common].median()) if common.any() else float("nan")
        success = float(fooled.float().mean())
        yield Result(network, attack, library, count, success, l2, gradients, seconds)


def table(results: list[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| Network | Attack | Library | Fooled | Median l2 | Gradients per picture | Seconds |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for r in sorted(results, key=lambda r: (r.network, r.attack, r.library != "Foolscope", r.library)):
        share = f"{r.success:.0%} of {r.pictures}"
        numbers = f"{share} | {r.l2:.4f} | {r.gradients:.0f} | {r.seconds:.1f}"
        lines.append(f"| {r.network} | {r.attack} | {r.library} | {numbers} |")
    return "\n".join(lines)


def main() -> None:
    """Measure on all networks and keep the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--digits", type=int, default=100, help="MNIST digits for lenet and fc100")
    parser.add_argument("--photos", type=int, default=8, help="photos for mobilenet_v2")
    parser.add_argument("--dry", action="store_true", help="print only, keep nothing")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the libraries' own
    results: list[Result] = []
    for name, count in (
        ("lenet", options.digits),
        ("fc100", options.digits),
        ("mobilenet_v2", options.photos),
    ):
        if count:
            results += measure(name, count)
            print(table(results), flush=True)
    if options.dry:
        return
    text = json.dumps([asdict(each) for each in results], indent=1)
    (HERE / "quality.json").write_text(text + "\n", encoding="utf-8")
    readme = HERE / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
