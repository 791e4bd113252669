"""``python -m app attack FOLDER``: many pictures, attacked by several attacks on several networks."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from engine.chosen import chosen
from engine.evaluation import pictures as folders
from engine.evaluation.contact_sheet import budget
from engine.evaluation.evaluation import Evaluation
from engine.evaluation.journal import Journal
from engine.evaluation.record import Picture, Plan, Row
from engine.evaluation.summary import Group
from engine.evaluation.tables import NO_PARQUET, has_parquet
from engine.images.sources import samples
from engine.intervals import Estimate
from engine.links import DEFAULT
from errors import BadSetting, FoolscopeError

Models = Annotated[
    str | None, typer.Option("--models", metavar="NAMES", help="Several, such as photos,mobilenet_v2.")
]
Attacks = Annotated[
    str | None, typer.Option("--attacks", metavar="NAMES", help="Several, such as fgsm,pgd,autoattack.")
]
Epsilons = Annotated[
    str | None,
    typer.Option(metavar="BUDGETS", help="Several, such as 0,2/255,4/255, for a robustness curve."),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="What a folder's pictures show: a CSV file with file and label, folders (the pictures' folders "
        "are called by it) or none; default: folders, where they are called by classes.",
    ),
]
Pictures = Annotated[
    bool, typer.Option("--pictures/--no-pictures", help="Of a folder: write each picture that fools.")
]


@dataclass(frozen=True)
class Grid:
    """Which pictures, networks, attacks and budgets, as the command line says it; None: the page's first."""

    source: str
    models: str | None
    attacks: str | None
    epsilons: str | None
    target: str
    settings: Mapping[str, str]
    fields: Mapping[str, str | None]

    @property
    def networks(self) -> list[str]:
        """Return the networks' names."""
        return _names(self.models) or [DEFAULT.model]

    def plan(self, *, as_is: bool) -> Plan:
        """Return the plan; raises `errors.BadSetting` for a budget that is no number."""
        settings = {} if self.attacks else {name: str(value) for name, value in DEFAULT.params.items()}
        return Plan(
            models=tuple(self.networks),
            attacks=tuple(_names(self.attacks) or [DEFAULT.attack]),
            settings=settings | dict(self.settings),
            epsilons=tuple(map(_budget, _names(self.epsilons))),
            target=self.target,
            fields={name: text for name, text in self.fields.items() if text is not None},
            as_is=as_is,
        )

    def pictures(self, labels: str | None) -> Sequence[Picture]:
        """Return the pictures with what they show; raises `errors.FoolscopeError`."""
        path = Path(self.source)
        if path.is_dir():
            return folders.labelled(folders.in_folder(path), labels, self.networks)
        if self.source in samples():
            return [Picture(self.source)]
        if not path.is_file():
            raise FoolscopeError(
                f"Expected a folder, a file or the name of a sample, but there is no {self.source}."
            )
        return folders.labelled([Picture(path.name, None, path)], labels or folders.NONE, self.networks)


@dataclass(frozen=True)
class Saving:
    """Where the results go, whether fooling pictures are written too, whether another evaluation there is
    replaced, and whether the summary is printed as JSON."""

    folder: Path
    pictures: bool
    force: bool
    as_json: bool


def run(grid: Grid, labels: str | None, saving: Saving, *, as_is: bool) -> None:
    """Carry out what the command line says, going on where it was broken off; print what it comes to.

    Raises `errors.FoolscopeError`.
    """
    evaluation = Evaluation.of(grid.plan(as_is=as_is), grid.pictures(labels), save=saving.pictures)
    source = {"pictures": str(Path(grid.source).absolute()), "labels": labels}
    with Journal(saving.folder, evaluation.about(source), saving.force) as journal:
        _carry_out(evaluation, journal, quiet=saving.as_json)
        several = evaluation.write(journal)
    if not has_parquet():
        print(NO_PARQUET, file=sys.stderr)
    if saving.as_json:
        print(json.dumps({"folder": str(saving.folder), "groups": [g.plain() for g in several]}, indent=1))
    else:
        print(*map(described, several), f"Written to {saving.folder}: open index.html.", sep="\n")
    if all(group.failed == group.pictures for group in several):
        raise FoolscopeError("Expected pictures that can be attacked, got none: see the column error.")


def _carry_out(evaluation: Evaluation, journal: Journal, quiet: bool) -> None:
    """Do what is missing, shown as a bar; ``quiet``: on a terminal alone."""
    engine, done = chosen(), len(evaluation.rows(journal))
    total, fooled = evaluation.total, sum(bool(row.success) for row in journal.rows)
    reported: set[tuple[str, str | None]] = set()
    with tqdm(total=total, initial=done, unit="run", disable=None if quiet else False) as bar:
        counting = threading.Lock()

        def show(row: Row) -> None:
            nonlocal fooled
            with counting:
                fooled += bool(row.success)
                bar.update()
                bar.set_postfix_str(f"{fooled} fooled")
                known = (row.file, row.error) in reported
                reported.add((row.file, row.error))
            if row.error and not known:
                bar.write(f"{row.file}: {row.error}", file=sys.stderr)

        try:
            evaluation.run(engine, journal, threading.Event(), show)
        finally:
            engine.close()


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _budget(text: str) -> float:
    """Return a budget that may be a fraction, such as 8/255; raises `errors.BadSetting`."""
    above, slash, below = text.partition("/")
    try:
        value = float(above) / float(below if slash else 1)
    except (ValueError, ZeroDivisionError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise BadSetting("Expected budgets from 0 on, such as 0,2/255,.02, got “{got}”.", got=text[:40])
    return value


def described(group: Group) -> str:
    """Return a group in one line for a terminal."""
    failed = f", {group.failed} failed" if group.failed else ""
    parts = [
        f"{group.model}, {group.attack}{'' if group.epsilon is None else ', ' + budget(group)}: "
        f"{group.pictures} pictures{failed}",
        f"clean accuracy {_share(group.clean_accuracy)}" if group.clean_accuracy else "",
        f"robust accuracy {_share(group.robust_accuracy)}" if group.robust_accuracy else "",
        f"fooled {_share(group.success_of_correct)} of those named rightly"
        if group.success_of_correct
        else "",
        f"fooled {_share(group.success)} of all" if group.success else "",
        f"median size {group.measured_by} {_figure(group.size)}" if group.size else "",
        f"median queries {_figure(group.queries)}" if group.queries else "",
        f"{group.seconds:,.1f} s",
    ]
    return "; ".join(filter(None, parts))


def _share(estimate: Estimate) -> str:
    low, high = estimate.low or 0.0, 1.0 if estimate.high is None else estimate.high
    return f"{100 * estimate.value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _figure(estimate: Estimate) -> str:
    text = f"{estimate.value:.4g}"
    return text if estimate.low is None else f"{text} ({estimate.low:.4g} to {estimate.high:.4g})"
