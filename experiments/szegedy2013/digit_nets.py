"""Szegedy et al.: the digit networks of tables 1 to 4, trained again. https://arxiv.org/abs/1312.6199.

The weights that ship were made by ``python -m experiments.szegedy2013.digit_nets --weights assets/weights``:
that carries the experiment out (or takes up what is kept of it) and writes each network with its record.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

import console
from attacks.contract import setting
from experiments.cache import Store, cache
from experiments.core import Experiment, ExperimentCard, Published, run
from experiments.datasets.digit_sets import Digits, digits, source
from experiments.toolkit.intervals import share
from models.architectures.perceptrons import NETWORKS
from models.records import write_network
from models.train.digit_nets import RECIPES, descend, error, fresh, layers, part, penalty, train_round

TRAIN = {
    "fc10_1e-4": Published(6.7),
    "fc10_1e-2": Published(10),
    "fc10_1": Published(21.2),
    "fc100_100": Published(0),
    "fc200_200": Published(0),
    "ae400": Published(0.57),
    "fc100_p1": Published(0, recalled=True),
    "fc123_p1": Published(0, recalled=True),
    "fc100_p2": Published(0, recalled=True),
}
"""Errors in percent on what each learnt: table 1, and for the last three table 3."""
TEST = {
    "fc10_1e-4": Published(7.4),
    "fc10_1e-2": Published(9.4),
    "fc10_1": Published(20),
    "fc100_100": Published(1.64),
    "fc200_200": Published(1.54),
    "ae400": Published(1.9),
    "fc100_p1": Published(2.0, recalled=True),
    "fc123_p1": Published(2.1, recalled=True),
    "fc100_p2": Published(2.1, recalled=True),
}
WHY = (
    "The paper prints the decay as lambda * sum(w ^ 2) / k, k the units of a layer. With k = 10 the linear "
    "networks have the errors under “printed”. With lambda / 2 * sum(w ^ 2), the biases' squares among them, "
    "they have the errors that the paper reports; the weights that ship were trained like that."
)
SPARSE = (
    "The paper says of its autoencoder only that it is sparse and was trained until its filters were very "
    "good: neither how sparse, nor how it was made so, nor for how long. The classifier on top learnt until "
    "it hardly changed, so that what is missing is in the features."
)
OTHER = "The paper does not say how its networks were initialised, nor when training ended."
LINEAR = ("fc10_1e-4", "fc10_1e-2", "fc10_1")
PRINTED = "as printed"


@dataclass(frozen=True)
class DigitNets(Experiment):
    """The ten networks, trained round by round; the weights are kept beside the rounds' answers."""

    card: ClassVar[ExperimentCard] = ExperimentCard(
        name="digit_nets",
        title="The digit networks",
        question="Do networks trained as the paper says make as many errors as the paper's?",
        paper="Intriguing Properties of Neural Networks",
        url="https://arxiv.org/abs/1312.6199",
        source="Tables 1 and 3, errors",
    )

    n: int = setting(
        60_000, "Training pictures", "How many pictures the networks learn from.", low=100, high=60_000
    )

    def depends(self) -> Any:
        """Return where the digits come from."""
        return source(self.data)

    def pieces(self) -> list[str]:
        """Return a piece for each round of each network, and one for each decay as it is printed."""
        rounds = [
            f"{name}, round {turn + 1}" for name, recipe in RECIPES.items() for turn in range(recipe.rounds)
        ]
        return rounds + [f"{name}, {PRINTED}" for name in LINEAR]

    def piece(self, name: str, store: Store) -> Any:
        """Train one round further, from the weights that are kept of the round before."""
        network_name, _, what = name.partition(", ")
        found = self._digits()
        if what == PRINTED:
            return _as_printed(network_name, found)
        turn = int(what.removeprefix("round ")) - 1
        network, begun = fresh(network_name, self.seed), time.perf_counter()
        if turn:
            network.load_state_dict(store.tensors(network_name))
        losses = train_round(network_name, network, found.train_x, found.train_y, turn, self.seed)
        store.put_tensors(network_name, network.state_dict())
        seconds = time.perf_counter() - begun
        last = turn + 1 == RECIPES[network_name].rounds
        return {"losses": losses, "seconds": seconds} | (
            _judged(network_name, network, found) if last else {}
        )

    def figures(self, done: Mapping[str, Any]) -> dict[str, Any]:
        """Return errors in percent with the paper's, and how each network was trained."""
        nets = {name: _figures(name, done) for name in NETWORKS}
        printed = {name: done[f"{name}, {PRINTED}"] for name in LINEAR}
        return {
            "nets": nets,
            "printed": printed,
            "why": WHY,
            "optimiser": "Linear networks: L-BFGS over the whole set. Those with hidden layers: Adam first, "
            "then L-BFGS over the whole set until no error is left. Convolutional: Adam.",
        }

    def claims(self, figures: Mapping[str, Any]) -> dict[str, bool]:
        """Return what the errors say about the paper's."""
        nets, printed = figures["nets"], figures["printed"]
        compared = [net for net in nets.values() if net["published_train"]]
        sigmoid = [name for name in nets if name.startswith(("fc100", "fc123", "fc200"))]
        tests = [nets[name]["test"]["value"] for name in LINEAR]
        return {
            "Every network with two hidden layers learns all its training pictures.": all(
                nets[name]["train"]["value"] == 0 for name in sigmoid
            ),
            "Every training error is within one point of the paper's.": all(
                _near(net, "train") for net in compared
            ),
            "Every test error is within one point of the paper's.": all(
                _near(net, "test") for net in compared
            ),
            "The more decay, the more errors.": tests == sorted(tests),
            "Half the sum of squares comes nearer to the paper's errors than the decay as printed.": all(
                _distance(nets[name], TEST[name].value) < abs(100 * printed[name]["test"] - TEST[name].value)
                for name in LINEAR[1:]
            ),
        }

    def _digits(self) -> Digits:
        found = digits(self.data)
        return found._replace(train_x=found.train_x[: self.n], train_y=found.train_y[: self.n])


def _near(net: Mapping[str, Any], which: str) -> bool:
    return abs(100 * float(net[which]["value"]) - float(net[f"published_{which}"]["value"])) <= 1


def _distance(net: Mapping[str, Any], published: float) -> float:
    return abs(100 * float(net["test"]["value"]) - published)


def _judged(name: str, network: nn.Module, found: Digits) -> dict[str, Any]:
    """Return counts of errors of the network in half precision, which is how it ships."""
    network.half().float()
    rows = part(RECIPES[name].half, len(found.train_y))
    sets = {
        "train": (found.train_x[rows], found.train_y[rows]),
        "test": (found.test_x, found.test_y),
    }
    if RECIPES[name].half:
        other = part(3 - RECIPES[name].half, len(found.train_y))
        sets["other half"] = (found.train_x[other], found.train_y[other])
    return {what: [round(error(network, x, y) * len(y)), len(y)] for what, (x, y) in sets.items()}


def _as_printed(name: str, found: Digits) -> dict[str, float]:
    """Return the errors of a linear network with the decay as the paper prints it, and as it reports it."""
    network, decay = fresh(name, 0), RECIPES[name].decay
    x, y = found.train_x, found.train_y
    descend(
        list(network.parameters()),
        lambda: functional.cross_entropy(network(x), y) + penalty(layers(network), decay, as_printed=True),
        RECIPES[name].steps * 2,
    )
    return {"train": error(network, x, y), "test": error(network, found.test_x, found.test_y)}


def _figures(name: str, done: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a network came to; ``why`` it differs from the paper's by over a point, if it does."""
    rounds = [done[f"{name}, round {turn + 1}"] for turn in range(RECIPES[name].rounds)]
    losses = [loss for each in rounds for loss in each["losses"]]
    judged = rounds[-1]
    net = {
        "train": share(*judged["train"]),
        "test": share(*judged["test"]),
        "other_half": share(*judged["other half"]) if "other half" in judged else None,
        "published_train": asdict(TRAIN[name]) if name in TRAIN else None,
        "published_test": asdict(TEST[name]) if name in TEST else None,
        "decay": list(RECIPES[name].decay),
        "half": RECIPES[name].half,
        "rounds": sum(bool(each["losses"]) for each in rounds),
        "steps": len(losses),
        "losses": [round(loss, 4) for loss in losses[:: max(1, len(losses) // 30)]],
        "seconds": round(sum(each["seconds"] for each in rounds)),
    }
    near = net["published_train"] is None or (_near(net, "train") and _near(net, "test"))
    return net | {"why": "" if near else SPARSE if RECIPES[name].sparse else OTHER}


def record(name: str, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what lies beside the weights of ``name``, from the experiment's result."""
    net = result["figures"]["nets"][name]
    wrong = 100 * net["test"]["value"]
    kept = ("decay", "half", "rounds", "steps", "losses", "seconds")
    return {
        "data": "MNIST",
        "size": 28,
        "labels": [str(digit) for digit in range(10)],
        "accuracy": {"MNIST test top-1": round(100 - wrong, 2)},
        "test_error": round(wrong, 2),
        "train_error": round(100 * net["train"]["value"], 3),
        "seed": result["seed"],
        **{fact: net[fact] for fact in kept},
    }


def main() -> None:
    """Carry the experiment out and write weights and records."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.szegedy2013.digit_nets", description=main.__doc__
    )
    parser.add_argument("--weights", type=Path, required=True, help="the folder to write to")
    parser.add_argument("--cache", type=Path, default=cache(), help="where rounds are kept (%(default)s)")
    options = parser.parse_args()
    experiment, store = DigitNets(), Store(options.cache)
    result = run(experiment, store)
    kept = store.under(f"{experiment.card.name}-{experiment.key()}")
    for name in RECIPES:
        network = NETWORKS[name]()
        network.load_state_dict(kept.tensors(name))
        print(write_network(name, network, record(name, result), options.weights))


if __name__ == "__main__":
    torch.manual_seed(0)
    raise SystemExit(console.run(main))
