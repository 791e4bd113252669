"""The process in which a network is read and checked: one that can be ended when it hangs or takes too much.

It reads a job as JSON from its standard input and prints lines of JSON: progress, then a result or a refusal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import console
from engine.admission import class_names, cost
from engine.admission.examination import Examination, examine
from engine.admission.subject import Report
from errors import FoolscopeError
from models.added import record, source
from models.added.record import AddedModel, Facts, KeptFile, Request
from models.added.source import Draft
from models.download import digest

if sys.platform != "win32":
    import resource

PACKAGES = ("torch", "torchvision", "timm", "transformers", "onnx2torch", "open_clip_torch")
GRAVITY = {"refused": 0, "note": 1, "fine": 2}


def main() -> int:
    """Carry out the job on standard input."""
    job = json.loads(sys.stdin.read())
    if sys.platform != "win32":  # which has no such limit
        resource.setrlimit(resource.RLIMIT_DATA, (job["memory"], job["memory"]))
    out = sys.stdout
    sys.stdout = sys.stderr  # what a network prints must not be taken for an answer

    def report(**line: object) -> None:
        out.write(json.dumps(line, ensure_ascii=False) + "\n")
        out.flush()

    try:
        added = admit(record.request_of(job["request"]), Path(job["folder"]), report)
        report(result=record.plain(added))
    except FoolscopeError as error:
        facts = {
            name: value if isinstance(value, (int, float)) else str(value)
            for name, value in error.facts.items()
        }
        report(refused=error.sentence, facts=facts)
    except MemoryError:
        report(refused="The network needs more memory than is allowed for adding one.", facts={})
    return 0


def admit(request: Request, folder: Path, report: Report) -> AddedModel:
    """Read the network that is asked for into ``folder`` and check it; return its record, which is written
    there too. Raises `errors.FoolscopeError`."""
    report(stage="reading")
    draft = source.source_of(request).read(
        request, folder, lambda done, total: report(done=done, total=total)
    )
    facts = draft.facts.with_request(request)
    if request.labels:
        facts = replace(facts, labels=class_names.from_file(request.labels))
    report(stage="checking")
    examination = examine(draft.network, facts, report)
    added = _record(request, draft, facts, examination, folder)
    record.write(added, folder)
    return added


def _record(
    request: Request,
    draft: Draft,
    facts: Facts,
    examination: Examination,
    folder: Path,
) -> AddedModel:
    checks = sorted((*draft.notes, *examination.results), key=lambda c: GRAVITY[c.verdict])
    return AddedModel(
        name=request.name,
        title=facts.title or request.name,
        source=source.shown(request),
        input=examination.takes,
        output=examination.gives,
        labels=examination.labels,
        files=tuple(_kept(path) for path in sorted(folder.iterdir()) if path.is_file()),
        parameters=cost.parameters(draft.network),
        arguments=draft.arguments,
        checks=tuple(checks),
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        licence=facts.licence,
        paper=facts.paper,
        training_set=facts.training_set,
        versions=versions(),
    )


def _kept(path: Path) -> KeptFile:
    return KeptFile(path.name, digest(path), path.stat().st_size)


def versions() -> Mapping[str, str]:
    """Return the releases of the packages that read networks, where they are installed."""
    known = {}
    for package in PACKAGES:
        try:
            known[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return known


if __name__ == "__main__":
    raise SystemExit(console.run(main))
