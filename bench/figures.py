"""What a measurement yields, and how it is printed and kept."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

HERE = Path(__file__).parent
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Figure:
    """One number. ``met`` says whether ``goal`` is reached; ``samples``: the repeats it is the median of."""

    name: str
    what: str
    value: float
    unit: str
    goal: str
    met: bool
    samples: Sequence[float] = ()
    detail: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    """The machine that it was measured on, as `machine` says; known once it is kept."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the figure's row of the table."""
        spread = f" ({min(self.samples):.3g} to {max(self.samples):.3g})" if len(self.samples) > 1 else ""
        return (
            self.what,
            f"{self.value:.3g}{spread} {self.unit}".strip(),
            self.goal,
            "yes" if self.met else "no",
        )


def figure(
    name: str,
    what: str,
    samples: Sequence[float],
    unit: str,
    goal: str,
    good: Callable[[float], bool],
    **detail: Any,
) -> Figure:
    """Return the median of ``samples`` as a figure."""
    value = median(samples)
    return Figure(name, what, value, unit, goal, good(value), [round(s, 5) for s in samples], detail)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [("what", "median (least to greatest)", "goal", "met"), *(each.cells for each in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def machine() -> dict[str, Any]:
    """Return what the figures depend on; ``load`` tells whether the machine was idle."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def keep(figures: Sequence[Figure], about: dict[str, Any]) -> None:
    """Write ``results.json``, and the table into this folder's README; figures that were not measured this
    time stay as they were."""
    path = HERE / "results.json"
    found = {each.name: replace(each, about=about) for each in figures}
    before = {each["name"]: Figure(**each) for each in json.loads(path.read_text(encoding="utf-8"))}
    every = [found.get(name, figure) for name, figure in (before | found).items()]
    path.write_text(json.dumps([asdict(each) for each in every], indent=1) + "\n", encoding="utf-8")
    _tell(every)


def _tell(figures: Sequence[Figure]) -> None:
    """Write the table and the machines into this folder's README."""
    runs: dict[str, list[str]] = {}
    for each in figures:
        runs.setdefault(", ".join(f"{name} {value}" for name, value in each.about.items()), []).append(
            each.name
        )
    said = "\n\n".join(f"{', '.join(names)}: {about}" for about, names in runs.items())
    readme = HERE / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    readme.write_text(
        f"{before}{BEGIN}\n{table(figures)}\n\n{said}\n{END}{rest.split(END)[1]}", encoding="utf-8"
    )
