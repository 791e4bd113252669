"""Szegedy et al.: Intriguing Properties of Neural Networks, section 4.3. https://arxiv.org/abs/1312.6199."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

import models
from attacks.contract import Attack, Criterion, walk
from attacks.lbfgs import LBFGS
from attacks.pgd import PGD
from attacks.random_noise import reach
from attacks.settings import setting
from errors import BadSetting
from experiments.cache import Store
from experiments.core import JSON, ExperimentCard, Published
from experiments.datasets.images import origin
from experiments.methods import activations, operator_norms
from experiments.szegedy2013.rarity import answers, right, sphere
from experiments.toolkit import intervals
from experiments.toolkit.bases import OfNetworks
from models.core import Classifier

SHARES = 4
CHUNK = 20
SLACK = 1e-3
"""What float32 may add to a ratio of differences."""

TABLE_5: dict[str, tuple[str, int, Published]] = {
    "Conv. 1": ("3 x 11 x 11 x 96", 4, Published(2.75)),
    "Conv. 2": ("96 x 5 x 5 x 256", 1, Published(10)),
    "Conv. 3": ("256 x 3 x 3 x 384", 1, Published(7)),
    "Conv. 4": ("384 x 3 x 3 x 384", 1, Published(7.5)),
    "Conv. 5": ("384 x 3 x 3 x 256", 1, Published(11)),
    "FC. 1": ("9216 x 4096", 1, Published(3.12)),
    "FC. 2": ("4096 x 4096", 1, Published(4)),
    "FC. 3": ("4096 x 1000", 1, Published(4)),
}
"""Upper bounds for AlexNet. The paper prints 1 / stride^2 where 1 / stride is right; if its program did as
printed, the first one is four times as large. Its three poolings of 3 x 3 with stride 2 add 2 each."""
POOLINGS = 3


@dataclass(frozen=True)
class Stability(OfNetworks):
    """How much each layer can stretch a difference at most, and how much it does.

    For a network that is a chain of layers the products of their norms bound how much a change of the
    picture can grow up to each; where layers branch and join there is no such product, and none is given.
    Whether it is a chain is seen by running it: each layer is given what the one before gave. Digits are
    changed by L-BFGS, photos by PGD, which takes a tenth of the time.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="stability",
        title="How much a change can grow",
        question="How much can a small change of the picture grow from layer to layer, and how much does it?",
        paper="Intriguing Properties of Neural Networks",
        url="https://arxiv.org/abs/1312.6199",
        source="Section 4.3, table 5",
        needs="photos, for a network that reads photos",
    )

    networks: str = setting(
        "fc100,lenet,photos", "Networks", "Names of networks, with commas between.", main=True
    )
    n: int = setting(100, "Pictures", "How many digits for each network of digits.", low=10, high=10_000)
    photos: int = setting(8, "Photos", "How many photos for each network of photos.", low=2, high=1000)
    epsilon: float = setting(
        2.0,
        "Distance in photos",
        "How far PGD may go in a photo, in Euclidean length.",
        low=0.01,
        high=100,
        unit="distance",
    )

    def pieces(self) -> list[str]:
        """Return, for each network, shares of its norms, the attack, and what the layers make of it."""
        parts = [*(f"norms {share}" for share in range(SHARES)), "attack 0", "ratios 0"]
        return [f"{name} {part}" for name in self.named() for part in parts]

    def piece(self, name: str, store: Store) -> JSON:
        """Compute some of the norms, attack the pictures, or follow both kinds of change through."""
        network, what, share = name.rsplit(" ", 2)
        model = models.load(network)
        if what == "norms":
            return norms(model, int(share))
        if what == "attack":
            return self._attack(name, model, store)
        kept = store.tensors(f"{network} attack 0")
        return ratios(model, kept["x"], kept["adv"], kept["random"])

    def _attack(self, name: str, model: Classifier, store: Store) -> JSON:
        x, label = right(model, self.data, self.n if model.card.channels == 1 else self.photos)
        criterion = Criterion(label, targeted=False)
        attack: Attack = LBFGS()
        if model.card.channels != 1:
            attack = PGD(norm="l2", epsilon=self.epsilon, step_size=self.epsilon / 8, steps=20)
        *_, last = walk(attack.search(x, criterion, torch.Generator()), model, criterion)
        met = criterion.met(last.evaluation.logits)
        if not met.any():
            raise BadSetting(
                f"{attack.card.title} fooled {model.card.title} on no picture: raise epsilon or take more."
            )
        x, adv, logits = x[met], last.x[met], answers(model, x)[met]
        rng = torch.Generator().manual_seed(self.seed)
        length = (adv - x).flatten(1).norm(dim=1)
        moved = [reach(a[None], sphere(1, a, rng), float(size)) for a, size in zip(x, length, strict=True)]
        random = torch.cat(moved)
        store.put_tensors(name, {"x": x, "adv": adv, "random": random})
        margin = -Criterion(label[met], targeted=False).margin(logits)
        return {
            "attack": attack.card.title,
            "tried": len(met),
            "length": length.tolist(),
            "margin": margin.tolist(),
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return, for each network, its layers with norms, products and ratios; and the paper's table 5."""
        product = math.prod(bound.value for _, _, bound in TABLE_5.values())
        right = math.prod(bound.value * stride for _, stride, bound in TABLE_5.values())
        return {
            "networks": {name: self._figures(name, done) for name in self.named()},
            "paper": {
                "network": "AlexNet",
                "layers": {
                    name: {
                        "size": size,
                        "stride": stride,
                        "bound": asdict(bound),
                        "if printed": bound.value * stride,
                    }
                    for name, (size, stride, bound) in TABLE_5.items()
                },
                "product": product,
                "if printed": right,
                "with poolings": right * 2**POOLINGS,
            },
        }

    def _figures(self, name: str, done: Mapping[str, JSON]) -> dict[str, JSON]:
        found = {layer["name"]: layer for s in range(SHARES) for layer in done[f"{name} norms {s}"]}
        attack, followed = done[f"{name} attack 0"], done[f"{name} ratios 0"]
        layers: list[dict[str, Any]] = []
        product: float | None = 1.0 if followed["chain"] else None
        for row in followed["layers"]:
            layer = found[row["name"]]
            product = product * layer["norm"] if product and layer["norm"] else None
            layers.append(layer | {"product": product} | _summary(row))
        gain = np.array(followed["layers"][-2]["adversarial"]) / followed["layers"][-2]["random"]
        return {
            "title": models.card(name).title,
            "from": origin(models.card(name), self.data),
            "attack": attack["attack"],
            "found": intervals.share(len(attack["length"]), attack["tried"]),
            "length": rounded(intervals.median(attack["length"])),
            "chain": followed["chain"],
            "unknown": [layer["name"] for layer in layers if layer["norm"] is None],
            "layers": [{key: rounded(value) for key, value in layer.items()} for layer in layers],
            "gain": rounded(intervals.median(gain.tolist())),
            "guarantee": guarantee(attack, layers[-2]["product"]),
        }

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return whether the norms hold, how far they are from what happens, and what chance does."""
        nets = list(figures["networks"].values())
        known = [layer for net in nets for layer in net["layers"] if layer["norm"] is not None]
        chains = [net for net in nets if net["guarantee"]]
        bounded = [layer for net in chains for layer in net["layers"]]
        said = {
            "No layer stretches any difference by more than its norm.": all(
                layer["own"]["largest"] <= layer["norm"] * (1 + SLACK) for layer in known
            ),
            "An adversarial change grows more on its way to the answer than a random one of its size.": all(
                net["gain"]["low"] is not None and net["gain"]["low"] > 1 for net in nets
            ),
        }
        if not chains:
            return said
        return said | {
            "Where layers form a chain, no change grows by more than the product of their norms.": all(
                layer["largest"] <= layer["product"] * (1 + SLACK) for layer in bounded
            ),
            "That product is ten times or more what adversarial changes really grow by.": all(
                net["layers"][-2]["product"] >= 10 * net["layers"][-2]["adversarial"]["value"]
                for net in chains
            ),
            "No adversarial change is shorter than the norms guarantee.": all(
                net["guarantee"]["broken"] == 0 for net in chains
            ),
        }


def norms(model: Classifier, share: int) -> list[dict[str, Any]]:
    """Return every fourth layer, from ``share`` on: its name, kind, size, norm, and how that was found.

    ``reached``: what the power method gets to, for layers with weights. ``printed``: a convolution's norm
    with the factor that the paper prints, where that differs. The first layer is the normalisation of the
    picture, and the last is the softmax.
    """
    places: list[tuple[str, nn.Module, tuple[int, ...]]] = []
    activations.observe(
        model,
        activations.blank(model),
        lambda layer: places.append((layer.name, layer.module, tuple(layer.before.shape[1:]))),
    )
    rows = [
        _row(
            "normalisation", "normalisation", operator_norms.Norm(1 / min(model.card.std), "exact", "1 / std")
        )
    ]
    rows += [_describe(*place) if i % SHARES == share else {} for i, place in enumerate(places)]
    rows += [_row("softmax", "softmax", operator_norms.norm(nn.Softmax(1), ()))]
    return [row for row in (rows if share == 0 else rows[1:-1]) if row]


def _describe(name: str, module: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    row = _row(name, type(module).__name__, operator_norms.norm(module, shape))
    if isinstance(module, nn.Conv2d | nn.Linear):
        row["size"] = " x ".join(map(str, module.weight.shape))
        row["reached"] = operator_norms.power(module, shape)
    if isinstance(module, nn.Conv2d) and max(module.stride) > 1:
        row["printed"] = row["norm"] / math.sqrt(math.prod(module.stride))
    return row


def _row(name: str, kind: str, norm: operator_norms.Norm | None) -> dict[str, Any]:
    value, how, words = norm or (None, "unknown", "")
    return {"name": name, "kind": kind, "norm": value, "how": how, "words": words}


def ratios(model: Classifier, x: Tensor, adv: Tensor, random: Tensor) -> dict[str, Any]:
    """Return for each layer and picture how much a change has grown since the picture.

    ``adversarial`` and ``random``: Euclidean lengths after the layer over those in the picture;
    ``own``: the largest ratio of a length after this layer to that before it. ``chain``: whether each
    layer is given just what the one before gave.
    """
    rows: dict[str, dict[str, Any]] = {}
    chain = True
    for parts in zip(x.split(CHUNK), adv.split(CHUNK), random.split(CHUNK), strict=True):
        links = _links(model, torch.cat(parts), rows)
        chain = chain and links
    return {"chain": chain, "layers": list(rows.values())}


def _links(model: Classifier, batch: Tensor, rows: dict[str, dict[str, Any]]) -> bool:
    """Add to ``rows`` what happens to pictures, adversarial ones and random ones; return whether every
    layer was given what the one before it gave."""
    at = lengths(batch)
    last = (batch - model.mean) / model.std
    linked = True

    def add(name: str, before: Tensor, after: Tensor) -> None:
        row = rows.setdefault(name, {"name": name, "adversarial": [], "random": [], "own": 0.0})
        grown, given = lengths(after), lengths(before)
        row["adversarial"] += (grown[0] / at[0]).tolist()
        row["random"] += (grown[1] / at[1]).tolist()
        own = torch.where(given > 0, grown / given.clamp(min=1e-30), 0)
        row["own"] = max(row["own"], float(own.max()))

    def watch(layer: activations.Layer) -> None:
        nonlocal last, linked
        linked = linked and torch.equal(layer.before.flatten(1), last.flatten(1))
        add(layer.name, layer.before, layer.after)
        last = layer.after.clone()

    add("normalisation", batch, last)
    logits = activations.observe(model, batch, watch)
    linked = linked and torch.equal(logits, last)
    add("softmax", logits, torch.softmax(logits, 1))
    return linked


def lengths(values: Tensor) -> Tensor:
    """Return the lengths ``(2, n)`` of the differences of the second and the last third of ``(3 n, ...)``
    to the first."""
    plain, adv, random = values.flatten(1).double().chunk(3)
    return torch.stack([(adv - plain).norm(dim=1), (random - plain).norm(dim=1)])


def guarantee(attack: Mapping[str, Any], bound: float | None) -> dict[str, Any] | None:
    """Return how far no change can flip the answer, margin / (sqrt(2) bound), None without a ``bound``.

    A change of length d moves the difference of two logits by at most sqrt(2) bound d (Tsuzuku, Sato and
    Sugiyama, https://arxiv.org/abs/1802.04034). ``broken``: adversarial changes that are shorter.
    """
    if bound is None:
        return None
    radius = [margin / (math.sqrt(2) * bound) for margin in attack["margin"]]
    return {
        "radius": rounded(intervals.median(radius)),
        "share": rounded(
            intervals.median([r / length for r, length in zip(radius, attack["length"], strict=True)])
        ),
        "broken": sum(r > length for r, length in zip(radius, attack["length"], strict=True)),
    }


def rounded(value: Any) -> Any:
    """Return ``value`` with its floats, and those of a dictionary, to six digits."""
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return medians over the pictures of how much changes have grown, and the largest."""
    return {
        "adversarial": intervals.median(row["adversarial"]),
        "random": intervals.median(row["random"]),
        "largest": max(row["adversarial"] + row["random"]),
        "own": {"largest": row["own"]},
    }
