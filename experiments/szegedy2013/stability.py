"""Szegedy et al.: Intriguing Properties of Neural Networks, section 4.3. https://arxiv.org/abs/1312.6199."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

import models
from attacks.contract import Attack, Criterion
from attacks.lbfgs import LBFGS
from attacks.pgd import PGD
from attacks.random_noise import reach
from attacks.settings import setting
from attacks.toolkit.norms import L2
from engine import intervals
from engine.intervals import Estimate
from engine.networks import copied, shared
from experiments.cache import Store
from experiments.core import ExperimentCard, Published, Stage
from experiments.datasets.images import origin
from experiments.methods import activations, operator_norms
from experiments.szegedy2013 import paper
from experiments.szegedy2013.rarity import answers, fooled, right, sphere
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
class Layer:
    """One layer and how far it can stretch a difference.

    ``kind``: its type. ``norm``: its operator norm or a bound of it, None where it is not known; ``how``:
    "exact", "bound" or "unknown"; ``words``: how it was found. For layers with weights ``size``: their shape,
    and ``reached``: what the power method gets to. ``printed``: a convolution's norm with the factor that the
    paper prints, where that differs.
    """

    name: str
    kind: str
    norm: float | None
    how: str
    words: str
    size: str | None = None
    reached: float | None = None
    printed: float | None = None


@dataclass(frozen=True)
class LayerNorms:
    """Some of the layers of a network."""

    layers: list[Layer]


@dataclass(frozen=True)
class AttackAnswer:
    """What ``attack`` does to ``tried`` pictures: Euclidean ``length`` of each change that fools, and
    ``margin`` of each of these pictures, in logits."""

    attack: str
    tried: int
    length: list[float]
    margin: list[float]


@dataclass(frozen=True)
class LayerRatios:
    """How much changes have grown after a layer.

    ``adversarial`` and ``random``: for each picture, Euclidean length after the layer over that in the
    picture; ``own``: the largest ratio of a length after this layer to that before it.
    """

    name: str
    adversarial: list[float]
    random: list[float]
    own: float


@dataclass(frozen=True)
class Ratios:
    """Growth of changes in each layer; ``chain``: whether each is given just what the one before gave."""

    chain: bool
    layers: list[LayerRatios]


@dataclass(frozen=True)
class OwnGrowth:
    """The largest ratio of a difference after a layer to that before it."""

    largest: float


@dataclass(frozen=True, kw_only=True)
class MeasuredLayer(Layer):
    """A layer and what really happens to changes in it, all numbers to six digits.

    ``product``: of the norms up to this one; None where one is unknown or layers branch. ``adversarial`` and
    ``random``: medians over the pictures of how much changes have grown since the picture; ``largest``: the
    largest growth of either.
    """

    product: float | None
    adversarial: Estimate
    random: Estimate
    largest: float
    own: OwnGrowth


@dataclass(frozen=True)
class Guarantee:
    """How far no change can flip the answer.

    ``radius``: median over the pictures, in Euclidean length; ``share``: median of it over the length of the
    adversarial change; ``broken``: how many adversarial changes are shorter.
    """

    radius: Estimate
    share: Estimate
    broken: int


@dataclass(frozen=True)
class NetworkStability:
    """The layers of one network and how much changes grow in them.

    ``origin``: where the pictures are from. ``success``: share of them that ``attack`` fools the network
    with; ``length``: median of its changes, in Euclidean length. ``unknown``: names of the layers without a
    norm. ``gain``: median of how much adversarial changes grow up to the logits, over how much random ones
    do. ``guarantee``: None without a product of norms.
    """

    title: str
    origin: str = field(metadata={"json": "from"})
    attack: str
    success: Estimate = field(metadata={"json": "found"})
    length: Estimate
    chain: bool
    unknown: list[str]
    layers: list[MeasuredLayer]
    gain: Estimate
    guarantee: Guarantee | None


@dataclass(frozen=True)
class PaperLayer:
    """A row of the paper's table 5; ``if_printed``: its bound times the stride."""

    size: str
    stride: int
    bound: Published
    if_printed: float = field(metadata={"json": "if printed"})


@dataclass(frozen=True)
class Paper:
    """The paper's table 5, and the product of its bounds: as they are, times the strides, and times what
    poolings add."""

    network: str
    layers: dict[str, PaperLayer]
    product: float
    if_printed: float = field(metadata={"json": "if printed"})
    with_poolings: float = field(metadata={"json": "with poolings"})


@dataclass(frozen=True)
class StabilityFigures:
    """Figures by network, and the paper's table 5."""

    networks: dict[str, NetworkStability]
    paper: Paper


@dataclass(frozen=True)
class NormStage(Stage):
    """The norms of every fourth layer of a network, from number ``share`` on."""

    answer: ClassVar[type] = LayerNorms

    network: str
    share: int

    @property
    def name(self) -> str:
        """Return the network, "norms" and the number of the share."""
        return f"{self.network} norms {self.share}"


@dataclass(frozen=True)
class AttackStage(Stage):
    """The attack on a network's pictures; stores them and both kinds of changed pictures as tensors."""

    answer: ClassVar[type] = AttackAnswer

    network: str

    @property
    def name(self) -> str:
        """Return the network and "attack 0"."""
        return f"{self.network} attack 0"


@dataclass(frozen=True)
class RatioStage(Stage):
    """What the layers of a network make of both kinds of changes."""

    answer: ClassVar[type] = Ratios

    network: str

    @property
    def name(self) -> str:
        """Return the network and "ratios 0"."""
        return f"{self.network} ratios 0"


StabilityStage = NormStage | AttackStage | RatioStage
StabilityAnswer = LayerNorms | AttackAnswer | Ratios


@dataclass(frozen=True)
class Stability(OfNetworks[StabilityAnswer, StabilityFigures]):
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
        paper=paper.TITLE,
        url=paper.URL,
        source="Section 4.3, table 5",
        needs="photos, for a network that reads photos",
    )

    result: ClassVar[type] = StabilityFigures
    version: ClassVar[int] = 2

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

    def stages(self) -> list[StabilityStage]:
        """Return, for each network, shares of its norms, the attack, and what the layers make of it."""
        stages: list[StabilityStage] = []
        for name in self.named():
            stages += [NormStage(name, share) for share in range(SHARES)]
            stages += [AttackStage(name), RatioStage(name)]
        return stages

    def carry_out(self, stage: StabilityStage, store: Store) -> StabilityAnswer:
        """Compute some of the norms, attack the pictures, or follow both kinds of change through."""
        if isinstance(stage, AttackStage):
            return self._attack(stage, shared(stage.network), store)
        model = copied(stage.network)  # whose layers are watched
        if isinstance(stage, NormStage):
            return LayerNorms(norms(model, stage.share))
        tensors = store.tensors(AttackStage(stage.network).name)
        return ratios(model, tensors["x"], tensors["adv"], tensors["random"])

    def _attack(self, stage: AttackStage, model: Classifier, store: Store) -> AttackAnswer:
        x, label = right(model, self.data, self.n if model.card.channels == 1 else self.photos)
        attack = self._method(model)
        met, adv = fooled(attack, model, x, label, "raise epsilon or take more")
        x, adv, logits = x[met], adv[met], answers(model, x)[met]
        length = (adv - x).flatten(1).norm(dim=1)
        random = random_changes(x, length, torch.Generator().manual_seed(self.seed))
        store.put_tensors(stage.name, {"x": x, "adv": adv, "random": random})
        margin = -Criterion(label[met], targeted=False).margin(logits)
        return AttackAnswer(attack.card.title, len(met), length.tolist(), margin.tolist())

    def _method(self, model: Classifier) -> Attack:
        """Return the attack that changes the pictures of a network."""
        if model.card.channels == 1:
            return LBFGS()
        return PGD(norm=L2.name, epsilon=self.epsilon, step_size=self.epsilon / 8, steps=20)

    def summarise(self, answers: Sequence[StabilityAnswer]) -> StabilityFigures:
        """Return, for each network, its layers with norms, products and ratios; and the paper's table 5."""
        return StabilityFigures({name: self._network(name, answers) for name in self.named()}, _paper())

    def _network(self, name: str, answers: Sequence[StabilityAnswer]) -> NetworkStability:
        pairs = zip(self.stages(), answers, strict=True)
        mine = [answer for stage, answer in pairs if stage.network == name]
        known = [layer for answer in mine if isinstance(answer, LayerNorms) for layer in answer.layers]
        attack = next(answer for answer in mine if isinstance(answer, AttackAnswer))
        measured = next(answer for answer in mine if isinstance(answer, Ratios))
        layers = _measured(known, measured)
        logits = measured.layers[-2]
        gain = np.array(logits.adversarial) / logits.random
        return NetworkStability(
            title=models.card(name).title,
            origin=origin(models.card(name), self.data),
            attack=attack.attack,
            success=intervals.share(len(attack.length), attack.tried),
            length=rounded(intervals.median(attack.length)),
            chain=measured.chain,
            unknown=[layer.name for layer in layers if layer.norm is None],
            layers=[_rounded_layer(layer) for layer in layers],
            gain=rounded(intervals.median(gain.tolist())),
            guarantee=guarantee(attack, layers[-2].product),
        )

    def claims(self, figures: StabilityFigures) -> dict[str, bool]:
        """Return whether the norms hold, how far they are from what happens, and what chance does."""
        nets = list(figures.networks.values())
        claims = {
            "No layer stretches any difference by more than its norm.": all(
                layer.own.largest <= layer.norm * (1 + SLACK)
                for net in nets
                for layer in net.layers
                if layer.norm is not None
            ),
            "An adversarial change grows more on its way to the answer than a random one of its size.": all(
                net.gain.low is not None and net.gain.low > 1 for net in nets
            ),
        }
        return claims | _chain_claims(nets)


def _chain_claims(nets: list[NetworkStability]) -> dict[str, bool]:
    """Return the claims about networks whose layers form a chain; none where there is no such network."""
    chains = [(net, net.guarantee) for net in nets if net.guarantee]
    if not chains:
        return {}
    return {
        "Where layers form a chain, no change grows by more than the product of their norms.": all(
            layer.product is not None and layer.largest <= layer.product * (1 + SLACK)
            for net, _ in chains
            for layer in net.layers
        ),
        "That product is ten times or more what adversarial changes really grow by.": all(
            logits.product is not None and logits.product >= 10 * logits.adversarial.value
            for logits in (net.layers[-2] for net, _ in chains)
        ),
        "No adversarial change is shorter than the norms guarantee.": all(
            guarantee.broken == 0 for _, guarantee in chains
        ),
    }


def _paper() -> Paper:
    with_strides = math.prod(bound.value * stride for _, stride, bound in TABLE_5.values())
    return Paper(
        network="AlexNet",
        layers={
            name: PaperLayer(size, stride, bound, if_printed=bound.value * stride)
            for name, (size, stride, bound) in TABLE_5.items()
        },
        product=math.prod(bound.value for _, _, bound in TABLE_5.values()),
        if_printed=with_strides,
        with_poolings=with_strides * 2**POOLINGS,
    )


def random_changes(x: Tensor, length: Tensor, rng: torch.Generator) -> Tensor:
    """Return pictures ``x`` ``(n, c, h, w)``, each changed at random by ``length`` ``(n,)`` within [0, 1]."""
    pairs = zip(x, length, strict=True)
    return torch.cat([reach(one[None], sphere(1, one, rng), float(size)) for one, size in pairs])


def norms(model: Classifier, share: int) -> list[Layer]:
    """Return every fourth layer, from ``share`` on, with its norm.

    The first layer is the normalisation of the picture, and the last is the softmax.
    """
    places: list[tuple[str, nn.Module, tuple[int, ...]]] = []
    activations.observe(
        model,
        activations.blank(model),
        lambda layer: places.append((layer.name, layer.module, tuple(layer.before.shape[1:]))),
    )
    layers = [_describe(*place) for i, place in enumerate(places) if i % SHARES == share]
    if share != 0:
        return layers
    scale = operator_norms.Norm(1 / min(model.card.std), "exact", "1 / std")
    first = _layer("normalisation", "normalisation", scale)
    return [first, *layers, _layer("softmax", "softmax", operator_norms.norm(nn.Softmax(1), ()))]


def _describe(name: str, module: nn.Module, shape: tuple[int, ...]) -> Layer:
    layer = _layer(name, type(module).__name__, operator_norms.norm(module, shape))
    if isinstance(module, nn.Conv2d | nn.Linear):
        size = " x ".join(map(str, module.weight.shape))
        layer = replace(layer, size=size, reached=operator_norms.power(module, shape))
    if isinstance(module, nn.Conv2d) and max(module.stride) > 1 and layer.norm is not None:
        layer = replace(layer, printed=layer.norm / math.sqrt(math.prod(module.stride)))
    return layer


def _layer(name: str, kind: str, norm: operator_norms.Norm | None) -> Layer:
    return Layer(name, kind, *(norm or (None, "unknown", "")))


def ratios(model: Classifier, x: Tensor, adv: Tensor, random: Tensor) -> Ratios:
    """Return for each layer how much the changes of pictures ``x`` to ``adv`` and to ``random``, all
    ``(n, c, h, w)``, have grown since the picture."""
    layers: dict[str, LayerRatios] = {}
    chain = True
    for parts in zip(x.split(CHUNK), adv.split(CHUNK), random.split(CHUNK), strict=True):
        links = _links(model, torch.cat(parts), layers)
        chain = chain and links
    return Ratios(chain, list(layers.values()))


def _links(model: Classifier, batch: Tensor, layers: dict[str, LayerRatios]) -> bool:
    """Add to ``layers`` what happens to pictures, adversarial ones and random ones; return whether every
    layer was given what the one before it gave."""
    at = lengths(batch)
    last = (batch - model.mean) / model.std
    linked = True

    def add(name: str, before: Tensor, after: Tensor) -> None:
        layer = layers.get(name, LayerRatios(name, [], [], 0.0))
        grown, given = lengths(after), lengths(before)
        own = torch.where(given > 0, grown / given.clamp(min=1e-30), 0)
        layers[name] = LayerRatios(
            name=name,
            adversarial=layer.adversarial + (grown[0] / at[0]).tolist(),
            random=layer.random + (grown[1] / at[1]).tolist(),
            own=max(layer.own, float(own.max())),
        )

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


def guarantee(attack: AttackAnswer, bound: float | None) -> Guarantee | None:
    """Return how far no change can flip the answer, margin / (sqrt(2) bound), None without a ``bound``.

    A change of length d moves the difference of two logits by at most sqrt(2) bound d (Tsuzuku, Sato and
    Sugiyama, https://arxiv.org/abs/1802.04034).
    """
    if bound is None:
        return None
    radius = [margin / (math.sqrt(2) * bound) for margin in attack.margin]
    pairs = list(zip(radius, attack.length, strict=True))
    return Guarantee(
        radius=rounded(intervals.median(radius)),
        share=rounded(intervals.median([r / length for r, length in pairs])),
        broken=sum(r > length for r, length in pairs),
    )


def _measured(known: Sequence[Layer], measured: Ratios) -> list[MeasuredLayer]:
    """Return the layers in the order in which they work, with products of norms and medians of ratios."""
    by_name = {layer.name: layer for layer in known}
    layers: list[MeasuredLayer] = []
    product: float | None = 1.0 if measured.chain else None
    for ratio in measured.layers:
        layer = by_name[ratio.name]
        product = product * layer.norm if product and layer.norm else None
        layers.append(
            MeasuredLayer(
                **vars(layer),
                product=product,
                adversarial=intervals.median(ratio.adversarial),
                random=intervals.median(ratio.random),
                largest=max(ratio.adversarial + ratio.random),
                own=OwnGrowth(ratio.own),
            )
        )
    return layers


def six_digits(value: float) -> float:
    """Return ``value`` to six digits."""
    return float(f"{value:.6g}")


def _six_digits(value: float | None) -> float | None:
    return None if value is None else six_digits(value)


def rounded(estimate: Estimate) -> Estimate:
    """Return ``estimate`` with its numbers to six digits."""
    low, high = _six_digits(estimate.low), _six_digits(estimate.high)
    return Estimate(six_digits(estimate.value), low, high, estimate.n)


def _rounded_layer(layer: MeasuredLayer) -> MeasuredLayer:
    return replace(
        layer,
        norm=_six_digits(layer.norm),
        reached=_six_digits(layer.reached),
        printed=_six_digits(layer.printed),
        product=_six_digits(layer.product),
        adversarial=rounded(layer.adversarial),
        random=rounded(layer.random),
        largest=six_digits(layer.largest),
        own=OwnGrowth(six_digits(layer.own.largest)),
    )
