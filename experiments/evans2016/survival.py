"""Is it just noise? An attack beside chance of the same size, after rough handling, before other networks.

Evans, *How to trick a neural network into thinking a panda is a vulture*, has a change that looks like noise;
what a picture survives is the question of Kurakin et al. (https://arxiv.org/abs/1607.02533), and to which
networks it transfers that of Szegedy et al. (https://arxiv.org/abs/1312.6199).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

import models
from attacks.contract import Criterion, walk
from attacks.pgd import PGD
from attacks.random_noise import reach
from attacks.settings import setting
from errors import BadSetting
from experiments.cache import Store
from experiments.core import JSON, Experiment, ExperimentCard
from experiments.datasets.photos import Open, open_named
from experiments.evans2016 import article
from experiments.methods.corruptions import HANDLINGS, handled, picture
from models import weights
from models.core import Card, Classifier, fitted

CHANCES = ("noise", "coin")
"""Noise drawn evenly, as long as the attack's change; and that change with its signs thrown by a coin."""
ROWS = 10
_load = lru_cache(maxsize=1)(models.load)


class Pair(NamedTuple):
    """A picture ``x`` and its adversarial twin ``adv`` ``(c, h, w)``, and the first one's class ``label``."""

    x: Tensor
    adv: Tensor
    label: int


@dataclass(frozen=True)
class Survival(Experiment):
    """One picture, one network: attack, chance of the same size, rough handling, other networks.

    The attack is PGD under linf with steps of an eighth of the budget. ``open`` returns the picture of a
    name. Raises `errors.UnknownName` for a network, picture or class that is not there.
    """

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="survival",
        title="Is it just noise?",
        question="Is an adversarial change noise, does it survive handling, and whom else does it fool?",
        paper=article.TITLE,
        url=article.URL,
        source="The perturbation that looks like noise; Kurakin et al. 2016 on what survives",
        digits=False,
    )

    n: int = setting(20, "Draws", "How many random changes of each kind.", low=10, high=10_000)
    network: str = setting(models.FIRST, "Network", "The network that is attacked.")
    picture: str = setting("panda", "Picture", "The picture: a sample, or photo:FILE of the data folder.")
    target: str = setting("", "Target", "The class to reach; empty: any other than the picture's.")
    epsilon: float = setting(
        4 / 255, "Largest change", "How far any value may move.", low=0, high=1, unit="level"
    )
    steps: int = setting(20, "Steps", "How often the gradient is followed.", low=1, high=1000)
    open: Open = field(default=open_named, compare=False, repr=False)

    def depends(self) -> JSON:
        """Return the digests of the network and of those that are asked too."""
        names = [self.network, *others(models.card(self.network))]
        return {name: models.card(name).weights.sha256 for name in names}

    def pieces(self) -> list[str]:
        """Return the attack, draws of chance, ways of handling, and one piece for each other network."""
        drawn = [f"{kind} {start}" for start in range(0, self.n, ROWS) for kind in CHANCES]
        told = [f"transfer {name}" for name in others(models.card(self.network))]
        return ["attack", *drawn, "handling", *told]

    def piece(self, name: str, store: Store) -> JSON:
        """Carry out one piece; all after the attack take its pictures from ``store``."""
        if name == "attack":
            return self._attack(store)
        what, _, rest = name.partition(" ")
        kept = store.tensors("attack")
        pair = Pair(kept["x"], kept["adv"], store.get("attack")["label"])
        if what == "handling":
            model = _load(self.network)
            return {how: self._handled(model, pair, how) for how in HANDLINGS}
        if what == "transfer":
            return self._asked(_load(rest), pair)
        drawn = self._drawn(pair, what, int(rest), min(ROWS, self.n - int(rest)))
        return self._chances(_load(self.network), pair, drawn)

    def _attack(self, store: Store) -> JSON:
        model = _load(self.network)
        x = model.card.see(self.open(self.picture))[None]
        with torch.no_grad():
            clean = model(x)[0].softmax(0)
        label = int(clean.argmax())
        goal = model.card.label_index(self.target) if self.target else None
        if goal == label:
            raise BadSetting(f"The network already says {self.target}; expected another target.")
        criterion = Criterion(torch.tensor([label if goal is None else goal]), goal is not None)
        attack = PGD(epsilon=self.epsilon, step_size=self.epsilon / 8, steps=self.steps)
        *_, last = walk(attack.search(x, criterion, torch.Generator()), model, criterion)
        store.put_tensors("attack", {"x": x[0], "adv": last.x[0]})
        pair = Pair(x[0], last.x[0], label)
        gain = round(0.4 / self.epsilon) if self.epsilon else 1
        return {
            "label": label,
            "clean": said(model.card, clean, label),
            "attack": said(model.card, last.evaluation.logits[0].softmax(0), label),
            "size": size(pair.adv - pair.x),
            "gain": gain,
            "pictures": {"clean": shown(pair.x), "attack": shown(pair.adv)},
            "changes": {"attack": shown(0.5 + gain * (pair.adv - pair.x))},
        }

    def _drawn(self, pair: Pair, kind: str, start: int, count: int) -> Tensor:
        """Return ``count`` pictures changed by chance, by as much as ``pair``."""
        rng = torch.Generator().manual_seed(self.seed * 1_000_003 + 2 * start + CHANCES.index(kind))
        many, change = pair.x.expand(count, *pair.x.shape), pair.adv - pair.x
        drawn = torch.rand(many.shape, generator=rng) * 2 - 1
        if kind == "coin":
            return (many + change.abs() * drawn.sign()).clamp(0, 1)
        return reach(many, drawn, float(change.norm()))

    def _chances(self, model: Classifier, pair: Pair, drawn: Tensor) -> JSON:
        with torch.no_grad():
            p = model(drawn).softmax(1)
        change, gain = drawn[0] - pair.x, round(0.4 / self.epsilon) if self.epsilon else 1
        return {
            "said": [said(model.card, row, pair.label) for row in p],
            "size": size(change),
            "picture": shown(drawn[0]),
            "change": shown(0.5 + gain * change),
        }

    def _handled(self, model: Classifier, pair: Pair, how: str) -> JSON:
        both = torch.stack([handled(pair.x, how), handled(pair.adv, how)])
        with torch.no_grad():
            clean, attack = model(both).softmax(1)
        return {
            "clean": said(model.card, clean, pair.label),
            "attack": said(model.card, attack, pair.label),
        }

    def _asked(self, model: Classifier, pair: Pair) -> JSON:
        """Return what another network says of both, how often chance changes its mind, and whether it is the
        ``same`` weights fed in another way."""
        drawn = self._drawn(pair, "noise", 0, min(ROWS, self.n))
        with torch.no_grad():
            p = model(fitted(torch.cat([pair.x[None], pair.adv[None], drawn]), model.card.size)).softmax(1)
        label = int(p[0].argmax())
        return {
            "clean": said(model.card, p[0], label),
            "attack": said(model.card, p[1], label),
            "noise": int((p[2:].argmax(1) != label).sum()),
            "drawn": len(drawn),
            "same": model.card.weights.sha256 == models.card(self.network).weights.sha256,
        }

    def figures(self, done: Mapping[str, JSON]) -> dict[str, JSON]:
        """Return what each picture was called, by which change, after which handling, by which network."""
        attack = done["attack"]
        chances = {kind: [v for k, v in done.items() if k.startswith(f"{kind} ")] for kind in CHANCES}
        found = {
            "clean": attack["clean"],
            "attack": attack["attack"],
            "gain": attack["gain"],
            "sizes": {"attack": attack["size"]} | {k: v[0]["size"] for k, v in chances.items()},
            "pictures": attack["pictures"] | {k: v[0]["picture"] for k, v in chances.items()},
            "changes": attack["changes"] | {k: v[0]["change"] for k, v in chances.items()},
        }
        for kind, parts in chances.items():
            rows = [row for part in parts for row in part["said"]]
            found[kind] = {
                "first": rows[0],
                "fooled": sum(row["fooled"] for row in rows),
                "n": len(rows),
                "original": sum(row["original"] for row in rows) / len(rows),
            }
        transfer = {k.partition(" ")[2]: v for k, v in done.items() if k.startswith("transfer ")}
        return found | {"handling": done["handling"], "transfer": transfer}

    def claims(self, figures: Mapping[str, JSON]) -> dict[str, bool]:
        """Return what people ask of an adversarial picture."""
        handling, transfer = figures["handling"], figures["transfer"]
        found = {
            "The attack fools the network.": figures["attack"]["fooled"],
            "No random change of the same size does.": not any(figures[k]["fooled"] for k in CHANCES),
            "It still fools as an 8-bit PNG file.": handling["PNG, 8 bits"]["attack"]["fooled"],
            "It still fools as a JPEG file of quality 75.": handling["JPEG 75"]["attack"]["fooled"],
            "It still fools from a screenshot.": handling["screenshot"]["attack"]["fooled"],
        }
        foreign = [each for each in transfer.values() if not each["same"]]
        if foreign:
            found["It fools a network with other weights that noise does not."] = any(
                each["attack"]["fooled"] and 2 * each["noise"] < each["drawn"] for each in foreign
            )
        return found


def others(card: Card) -> list[str]:
    """Return the networks whose weights are here that take the same kind of picture as ``card``'s."""
    near = [c for c in models.cards() if c.channels == card.channels and not c.lab and c.name != card.name]
    return [each.name for each in near if weights.locate(each)]


def said(card: Card, p: Tensor, label: int) -> dict[str, Any]:
    """Return the answer in probabilities ``p`` ``(classes,)``: the class put first, how probable it and the
    ``original`` class ``label`` are, and whether it is another."""
    top = int(p.argmax())
    return {
        "label": card.labels[top],
        "probability": round(float(p[top]), 6),
        "original": round(float(p[label]), 6),
        "fooled": top != label,
    }


def size(change: Tensor) -> dict[str, float]:
    """Return how large a change is: ``linf`` and ``l2``, on the scale of [0, 1]."""
    return {"linf": round(float(change.abs().max()), 6), "l2": round(float(change.norm()), 5)}


def shown(x: Tensor) -> str:
    """Return a picture ``(c, h, w)`` in [0, 1] for the page: JPEG in base64. Nothing is computed from it."""
    out = io.BytesIO()
    picture(x).save(out, "JPEG", quality=85)
    return base64.b64encode(out.getvalue()).decode()
