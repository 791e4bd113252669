"""How good the minimal attacks are, beside other libraries', at equal numbers of steps.

``python -m bench.quality``: success, median size and gradients per picture, in one run, on MNIST networks and
on ``mobilenet_v2`` with photos. Reads ``FOOLSCOPE_DATA`` and ``FOOLSCOPE_WEIGHTS``; the libraries are those
of ``requirements-parity.txt``, and one that is not installed is left out. Writes ``quality.json`` and the
table in this folder's README.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from PIL import Image
from torch import Tensor, nn

import console
import models
from attacks.contract import Criterion
from attacks.toolkit import norms
from bench.figures import HERE
from bench.rivals import Contest, contests
from models.train.data import data_root, read_mnist

BEGIN, END = "<!-- quality: begin -->", "<!-- quality: end -->"


@dataclass(frozen=True)
class Result:
    """One attack of one library on one network: ``success`` in [0, 1], ``size`` the median size of the
    change in ``norm`` (a picture not fooled counts as infinitely far), ``best`` the least of the other
    libraries' medians (NaN for theirs and where there is none), ``gradients`` per picture."""

    network: str
    attack: str
    norm: str
    library: str
    pictures: int
    success: float
    size: float
    gradients: float
    seconds: float
    best: float = math.nan


@dataclass(frozen=True)
class Tried:
    """What one library found: who was fooled ``(n,)``, how far away ``(n,)``, at what cost."""

    library: str
    fooled: Tensor
    size: Tensor
    gradients: float
    seconds: float


class Counting(nn.Module):
    """A network that counts the rows that a gradient is asked for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.rows = network, 0
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's logits ``(n, classes)``."""
        logits: Tensor = self.network(x.float())
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, grad: Tensor) -> None:
        self.rows += int((grad != 0).flatten(1).any(1).sum())


def material(name: str, count: int) -> tuple[nn.Module, Tensor]:
    """Return a network and pictures ``(n, c, h, w)`` for it."""
    network, root = models.load(name), data_root()
    if network.card.channels == 1:
        digits, _ = read_mnist(root, train=False)
        return network, digits[:count]
    with (root / "photos.tsv").open(encoding="utf-8") as file:
        paths = [root / line["file"] for line in csv.DictReader(file, delimiter="\t")][:count]
    return network, torch.stack([_see(network.card, path) for path in paths])


def _see(card: models.core.Card, path: Path) -> Tensor:
    with Image.open(path) as picture:
        return card.preprocess(picture.convert("RGB"))


def measure(network_name: str, count: int, only: list[str]) -> Iterator[Result]:
    """Yield the results of every contest on one network."""
    network, x = material(network_name, count)
    with torch.no_grad():
        logits = network(x)
    for contest in contests():
        if only and contest.attack not in only:
            continue
        skipped = contest.many if logits.shape[1] > 10 else ()
        own = logits.argmax(1)
        criterion = Criterion((own + 1) % logits.shape[1] if contest.targeted else own, contest.targeted)
        tried = [_try(contest, name, network, x, criterion) for name in contest.rivals if name not in skipped]
        if tried:
            yield from _results(network_name, contest, tried)


def _try(contest: Contest, library: str, network: nn.Module, x: Tensor, criterion: Criterion) -> Tried:
    counting, begun = Counting(network), time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            adv = contest.rivals[library](counting, x.clone(), criterion).detach().float()
        except (RuntimeError, ValueError, IndexError) as broke:  # theirs; it counts as not fooled
            print(f"{library} broke off: {broke}", flush=True)
            adv = x
    seconds = time.perf_counter() - begun
    with torch.no_grad():
        inside = (adv >= 0).flatten(1).all(1) & (adv <= 1).flatten(1).all(1)
        fooled = criterion.met(network(adv)) & inside
    print(contest.attack, contest.norm, library, f"{float(fooled.float().mean()):.2f}", flush=True)
    size = norms.SIZES[contest.norm](adv - x)
    return Tried(library, fooled, size, counting.rows / len(x), seconds)


def _results(network: str, contest: Contest, tried: list[Tried]) -> Iterator[Result]:
    """Yield one row for each. The median is over all pictures: one not fooled counts as infinitely far."""
    sizes = [median(torch.where(each.fooled, each.size, math.inf).tolist()) for each in tried]
    others = [size for each, size in zip(tried, sizes, strict=True) if each.library != "Foolscope"]
    for each, size in zip(tried, sizes, strict=True):
        best = min(others, default=math.nan) if each.library == "Foolscope" else math.nan
        success, count = float(each.fooled.float().mean()), len(each.fooled)
        at = (network, contest.attack, contest.norm, each.library, count)
        yield Result(*at, success, size, each.gradients, each.seconds, best)


def table(results: list[Result]) -> str:
    """Return the results as a Markdown table; our size also over the best of the others'."""
    lines = [
        "| Network | Attack | By | Library | Fooled | Median size | Over the best other | Gradients "
        "| Seconds |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for r in results:
        share, ratio = (
            f"{r.success:.0%} of {r.pictures}",
            "" if math.isnan(r.best) else f"{r.size / r.best:.3f}",
        )
        size = "none" if math.isinf(r.size) else f"{r.size:.4g}"
        numbers = f"{share} | {size} | {ratio} | {r.gradients:.0f} | {r.seconds:.1f}"
        lines.append(f"| {r.network} | {r.attack} | {r.norm} | {r.library} | {numbers} |")
    return "\n".join(lines)


def main() -> None:
    """Measure on all networks and keep the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("--digits", type=int, default=100, help="MNIST digits for lenet and fc100")
    parser.add_argument("--photos", type=int, default=8, help="photos for mobilenet_v2")
    parser.add_argument("--only", nargs="*", default=[], metavar="ATTACK", help="these attacks alone")
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
            results += measure(name, count, options.only)
            print(table(results), flush=True)
    if not options.dry:
        keep(results)


def keep(results: list[Result]) -> None:
    """Write ``quality.json`` and the README's table; the rest stays as it was."""
    path, now = HERE / "quality.json", {(each.network, each.attack) for each in results}
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    kept = [Result(**each) for each in before if (each["network"], each["attack"]) not in now]
    order = {"lenet": 0, "fc100": 1, "mobilenet_v2": 2}
    results = sorted(kept + results, key=lambda each: (order[each.network], each.attack, each.norm))
    text = json.dumps([asdict(each) for each in results], indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    readme = HERE / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{table(results)}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(console.run(main))
