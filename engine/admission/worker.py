"""The process in which a network is read and checked: one that can be ended when it hangs or takes too much.

It reads a job as JSON from its standard input and prints lines of JSON: progress, then a result or a refusal.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from torch import nn

from engine.admission import class_names
from engine.admission.examination import Examination, examine
from errors import FoolscopeError
from models.added import record, source
from models.added.record import AddedModel, CheckResult, Facts, InputFormat, KeptFile, Request
from models.added.source import Draft
from models.download import digest

SIZE = 224
"""Side of the input where neither the source nor the person says it."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and std where nobody says them."""
PACKAGES = ("torch", "torchvision", "timm", "transformers", "onnx2torch", "open_clip_torch")
GRAVITY = {"refused": 0, "note": 1, "fine": 2}
Report = Callable[..., None]


def main() -> int:
    """Carry out the job on standard input."""
    job = json.loads(sys.stdin.read())
    if job.get("memory"):
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
    takes, notes = input_format(facts)
    examination = examine(draft.network.eval().requires_grad_(False), takes)
    added = _record(request, draft, facts, takes, examination, notes, folder)
    record.write(added, folder)
    return added


def input_format(facts: Facts) -> tuple[InputFormat, tuple[CheckResult, ...]]:
    """Return what the network takes, and what had to be assumed."""
    channels = facts.channels or (len(facts.mean) if facts.mean else 3)
    notes = []
    height, width = facts.height or SIZE, facts.width or facts.height or SIZE
    if not facts.height:
        words = "Nobody says how large its images are: {size} pixels are assumed."
        notes.append(CheckResult("input", "note", words, {"size": SIZE}))
    mean, std = facts.mean, facts.std
    if mean is None or std is None:
        notes.append(
            CheckResult(
                "normalisation",
                "note",
                "Nobody says how images are normalised: ImageNet's mean and deviation are assumed.",
            )
        )
        mean, std = (IMAGENET[0], IMAGENET[1]) if channels == 3 else ((0.0,) * channels, (1.0,) * channels)
    filters = facts.interpolation if facts.interpolation in ("bilinear", "bicubic") else "bilinear"
    return InputFormat(height, width, channels, mean, std, facts.resize, filters), tuple(notes)


def _record(
    request: Request,
    draft: Draft,
    facts: Facts,
    takes: InputFormat,
    examination: Examination,
    notes: tuple[CheckResult, ...],
    folder: Path,
) -> AddedModel:
    labels, named = class_names.named(facts.labels, examination.classes, examination.gives.background)
    checks = sorted((*draft.notes, *notes, *examination.results, named), key=lambda c: GRAVITY[c.verdict])
    return AddedModel(
        name=request.name,
        title=facts.title or request.name,
        source=request.source,
        input=takes,
        output=examination.gives,
        labels=labels,
        files=tuple(_kept(path) for path in sorted(folder.iterdir()) if path.is_file()),
        parameters=parameters(draft.network),
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


def parameters(network: nn.Module) -> int:
    """Return how many numbers the network learnt."""
    return sum(parameter.numel() for parameter in network.parameters())


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
    raise SystemExit(main())
