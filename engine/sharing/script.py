"""A run as Python that repeats it without this program: torch, and torchvision or a package of weights."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

import models
from attacks.contract import Attack
from engine import lab_queue
from engine.recipe import Recipe
from engine.render import to_image
from engine.run import Floats, Run
from engine.sharing import script_networks, script_search, script_steps
from engine.sharing import script_text as text
from engine.sharing.curve import goal
from engine.work import Evaluates, only_answer
from errors import FoolscopeError

PACKAGES = {"numpy": "import numpy as np", "pillow": "from PIL import Image", "torch": "import torch"}


@dataclass(frozen=True, eq=False)
class Repeat:
    """What a script needs of a run, of which it becomes a file of Python or, as ``notebook``, one of those;
    a piece of `engine.work`, as the code is taken from what computes.

    ``original``, ``ended`` and ``goal``: the classes at first, at the end and that it is about, None where it
    ended as it began; ``last``: its last step; ``start`` ``(c, h, w)`` in [0, 1]: what the network sees.
    """

    recipe: Recipe
    original: int
    ended: int
    goal: int | None
    last: int
    start: Floats
    notebook: bool
    model: ClassVar[str] = ""

    @classmethod
    def of(cls, run: Run, notebook: bool) -> Repeat:
        """Return what repeats a run."""
        last = run.recipe.build().updates() if run.status == "finished" else len(run) - 1
        ended = run.top(len(run) - 1, 1)[0].index if len(run) else run.original
        return cls(run.recipe, run.original, ended, goal(run), last, run.start, notebook)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the names of the classes."""
        return models.card(self.recipe.model).labels

    def carry_out(self, engine: Evaluates | None = None) -> Iterator[str]:
        """Yield the file; no network is asked. Raises `errors.FoolscopeError` where `unavailable` says why
        not."""
        yield _notebook(self) if self.notebook else _script(self)


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
    return script_networks.unavailable(run.recipe.model)


def script(run: Run) -> str:
    """Return a Python file that repeats the run on ``original.png`` beside it.

    Raises `errors.FoolscopeError` where `unavailable` says why not.
    """
    return _written(Repeat.of(run, notebook=False))


def notebook(run: Run) -> str:
    """Return the same as a notebook (nbformat 4.5) that holds its picture."""
    return _written(Repeat.of(run, notebook=True))


def _written(repeat: Repeat) -> str:
    elsewhere = lab_queue.carried_out_by()
    return next(repeat.carry_out()) if elsewhere is None else only_answer(elsewhere, repeat)


def _script(run: Repeat) -> str:
    parts = _parts(run)
    head = text.HEAD.format(
        title=parts.title,
        packages=" ".join(parts.packages),
        imports=_imports((*parts.imports, "from pathlib import Path")),
    )
    return head + parts.settings + parts.network + "\n" + text.PICTURE_BESIDE + parts.prepare + parts.loop


def _notebook(run: Repeat) -> str:
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


def _embedded(run: Repeat) -> str:
    """Return what the network was shown, as base64 of a lossless file in lines."""
    file = io.BytesIO()
    to_image(run.start).save(file, "PNG", optimize=True)
    return base64.encodebytes(file.getvalue()).decode()


def _parts(run: Repeat) -> Parts:
    refused = script_networks.unavailable(run.recipe.model)
    if refused:
        raise refused
    recipe, attack, card = run.recipe, run.recipe.build(), models.card(run.recipe.model)
    network = script_networks.written(recipe.model, recipe.target is not None)
    needed, loop = _loop(run, attack)
    aim = "another class" if recipe.target is None else run.labels[recipe.target]
    return Parts(
        title=f"{attack.card.title} on {card.title}: {run.labels[run.original]} -> {aim}",
        packages=(*PACKAGES, *network.packages),
        imports=tuple(dict.fromkeys([*PACKAGES.values(), *network.imports, *needed])),
        settings=_settings(run, attack, loop),
        prepare=_prepare(run),
        network=text.THREADS.format(threads=torch.get_num_threads()) + network.definitions + network.code,
        loop=loop,
    )


def _loop(run: Repeat, attack: Attack) -> tuple[list[str], str]:
    """Return imports, and the code that carries out the run: the shorter text where there is one."""
    if script_steps.has(run.recipe, attack):
        loop = script_steps.written(run.recipe, attack)
        return ["import math"] if "math." in loop else [], loop
    search = script_search.written(run.recipe, attack)
    return list(search.imports), search.code


def _settings(run: Repeat, attack: Attack, loop: str) -> str:
    """Return the constants of the script, a line each; of the attack's settings those that its ``loop``
    names."""
    recipe = run.recipe
    lines = [f"ORIGINAL, LAST = {run.original}, {run.last}"]
    lines += [] if recipe.target is None else [f"TARGET = {recipe.target}"]
    for item in attack.settings(getattr(attack, "norm", None)):
        if re.search(rf"\b{item.name.upper()}\b", loop):
            lines.append(f"{item.name.upper()} = {item.format(getattr(attack, item.name))}")
    lines += [f"SEED = {recipe.seed}"] if attack.stochastic() else []
    lines += {"probability": [f"AT = {recipe.stop.at!r}"], "row": [f"TIMES = {recipe.stop.times}"]}.get(
        recipe.stop.rule, []
    )
    known = {run.original, run.ended, *([] if run.goal is None else [run.goal])}
    names = ", ".join(f"{index}: {json.dumps(run.labels[index])}" for index in sorted(known))
    return text.SETTINGS.format(names=f"NAMES = {{{names}}}", constants="\n".join(lines))


def _prepare(run: Repeat) -> str:
    card, region = models.card(run.recipe.model), run.recipe.region
    code = text.PREPARE.format(
        mean=script_networks.channels(card.mean), std=script_networks.channels(card.std)
    )
    if region is None:
        return code
    inside = region.mask(*run.start.shape[1:])
    rows, columns = (inside.max(axis).nonzero()[0].tolist() for axis in (1, 0))
    edges = {"top": rows[0], "bottom": rows[-1] + 1, "left": columns[0], "right": columns[-1] + 1}
    return code + text.REGION.format(**edges)


def _imports(lines: tuple[str, ...]) -> str:
    """Return import statements in the usual order: the standard library's, then the others."""
    own = [line for line in lines if line.split()[1].partition(".")[0] in sys.stdlib_module_names]
    others = [line for line in lines if line not in own]
    groups = [sorted(group, key=lambda line: (line.startswith("from"), line)) for group in (own, others)]
    return "\n\n".join("\n".join(group) for group in groups if group)
