"""An evaluation from beginning to end: what is missing is done, and its files are written."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.base import EngineBase
from engine.evaluation import contact_sheet, leaving, tables
from engine.evaluation.carrying_out import carry_out, in_flight
from engine.evaluation.journal import Journal, write
from engine.evaluation.planning import Setup, setups, works
from engine.evaluation.record import Picture, Plan, Row
from engine.evaluation.summary import Group, groups
from engine.run import Run
from engine.sharing.voice import ENGLISH, Voice

PAGE_AT = "http://127.0.0.1:8501/playground"
"""Where `python -m app run` serves the playground."""
CSV, PARQUET, SUMMARY, SHEET = "rows.csv", "rows.parquet", "summary.json", "index.html"


@dataclass(frozen=True)
class Evaluation:
    """What is to be done to which pictures. ``save``: fooling pictures are written too."""

    plan: Plan
    pictures: Sequence[Picture]
    setups: Sequence[Setup]
    save: bool = True

    @classmethod
    def of(cls, plan: Plan, pictures: Sequence[Picture], *, save: bool = True) -> Evaluation:
        """Return a plan for pictures after checking it; raises `errors.FoolscopeError`."""
        return cls(plan, pictures, setups(plan), save)

    @property
    def total(self) -> int:
        """Return how many rows there will be."""
        return len(self.pictures) * len(self.setups)

    def about(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """Return all that decides the rows, as plain data; ``source``: where the pictures are from."""
        return self.plan.plain() | {"save": self.save} | dict(source)

    def run(
        self,
        engine: EngineBase,
        journal: Journal,
        stop: threading.Event,
        shown: Callable[[Row], None] = lambda _: None,
        at_once: int = 0,
    ) -> None:
        """Do what the journal lacks, until ``stop`` is set; ``shown`` takes each row, by several threads.
        ``at_once``: runs in flight, 0 for what suits the device."""

        def keep(row: Row, run: Run | None) -> None:
            leaving.keep(engine, journal, row, run, self.save)
            shown(row)

        coming = works(self.pictures, self.setups, {row.key for row in journal.rows})
        at_once = at_once or in_flight(engine)
        carry_out(engine, coming, keep, stop, as_is=self.plan.as_is, at_once=at_once)

    def rows(self, journal: Journal) -> list[Row]:
        """Return the journal's rows of these pictures, in the plan's order."""
        place = {work.key: at for at, work in enumerate(works(self.pictures, self.setups, set()))}
        return sorted((row for row in journal.rows if row.key in place), key=lambda row: place[row.key])

    def write(self, journal: Journal, at: str = PAGE_AT) -> list[Group]:
        """Write table, summary and contact sheet of what is there; return the summary. Without pyarrow there
        is no Parquet file. Raises `errors.FoolscopeError`."""
        rows = self.rows(journal)
        several = groups(rows)
        write(journal.folder / CSV, tables.table_csv(rows))
        if tables.has_parquet():
            write(journal.folder / PARQUET, tables.table_parquet(rows))
        whole = {"rows": len(rows), "of": self.total, "groups": [group.plain() for group in several]}
        write(journal.folder / SUMMARY, json.dumps(whole, ensure_ascii=False, indent=1).encode() + b"\n")
        write(journal.folder / SHEET, self.sheet(journal, at).encode("utf-8", "backslashreplace"))
        return several

    def sheet(self, journal: Journal, at: str = PAGE_AT, voice: Voice = ENGLISH) -> str:
        """Return the contact sheet of what is there."""
        rows = self.rows(journal)
        samples = frozenset(picture.file for picture in self.pictures if picture.path is None)
        return contact_sheet.page(
            journal.folder, rows, groups(rows), self.setups, at=at, samples=samples, voice=voice
        )
