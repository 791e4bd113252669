"""Train again what the project ships: ``python -m app train photos`` (or ``digits``, or ``tanay``).

Reads ``FOOLSCOPE_DATA`` (and for the photos' teacher ``FOOLSCOPE_WEIGHTS``); writes weights and their
record into ``--out``.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

import console
from errors import FoolscopeError
from models.architectures.lenet import NETWORKS
from models.architectures.resnet import SmallResNet
from models.records import FOLDER, read_record, write_network
from models.train import judge
from models.train.data import Classes, PhotoSet, data_root, load_photos, read_classes, read_mnist
from models.train.digits import RECIPES, digit_record, train_digits
from models.train.loop import Loss, Report, Settings, Student, batch_loss, normalise, train
from models.train.photo_report import elsewhere, photo_record, teacher_facts
from models.train.robust import CleanNet, RobustSettings, Withstands, robust_accuracy, robust_loss
from models.train.tanay import DECAYS, DecaySettings, decay_record, fresh
from models.train.teacher import Guide, Teacher, find_teacher, fit_probe

TEACHER_SIZE = 112
CLASSES = FOLDER / "photos_classes.json"
UNJUDGED = (
    "Expected an attack that judges the robust twin, got none: python -m app train photos --robust has one."
)


def main(arguments: list[str] | None = None, withstands: Withstands | None = None) -> int:
    """Run the command line and return its exit status. ``withstands``: the attack that judges the robust
    twin, without which that is not trained."""
    options = _parser().parse_args(arguments, argparse.Namespace(withstands=withstands))
    try:
        options.run(options)
    except FoolscopeError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app train", description=__doc__)
    nets = parser.add_subparsers(required=True)
    photos = nets.add_parser("photos", help="the offline photo classifier (over an hour on two cores)")
    photos.add_argument("--epochs", type=int, help="in place of the settings' own number")
    photos.add_argument("--minutes", type=float, help="end after so long, with the schedule shortened to fit")
    photos.add_argument("--limit", type=int, help="use so many photos in all, for a quick try")
    photos.add_argument(
        "--from",
        type=Path,
        dest="start",
        help="go on from these weights, at half the rate and larger pictures",
    )
    photos.add_argument("--checkpoint", type=Path, help="file to write after each epoch, and to go on from")
    photos.add_argument(
        "--robust", action="store_true", help="the twin that was trained against attacks, from the clean net"
    )
    photos.set_defaults(run=train_photos)
    digits = nets.add_parser("digits", help="LeNet and FC100 on MNIST (minutes)")
    digits.add_argument("--only", choices=sorted(NETWORKS))
    digits.add_argument("--epochs", type=int, help="in place of each network's own number")
    digits.add_argument("--limit", type=int, help="use so many digits, for a quick try")
    digits.set_defaults(run=train_digit_nets)
    decay = nets.add_parser("tanay", help="LeNet with weak and strong weight decay (half an hour each)")
    decay.add_argument("--only", choices=sorted(DECAYS))
    decay.add_argument("--epochs", type=int, default=DecaySettings.epochs)
    decay.add_argument("--limit", type=int, help="use so many digits, for a quick try")
    decay.add_argument("--checkpoint", type=Path, help="folder to write to after each epoch, to go on from")
    decay.set_defaults(run=train_decayed)
    judged = nets.add_parser("judge", help="write how often networks are right on the 1,000 ImageNet photos")
    judged.add_argument("names", nargs="+", metavar="NAME")
    judged.add_argument("--out", type=Path, default=FOLDER, help="folder for the records")
    judged.set_defaults(run=judge_networks)
    for net in (photos, digits, decay):
        net.add_argument("--seed", type=int, default=0)
        net.add_argument("--out", type=Path, default=FOLDER, help="folder for weights and record")
    return parser


def judge_networks(options: argparse.Namespace) -> None:
    """Judge networks of ImageNet's classes and write their records."""
    for name in options.names:
        print(judge.write(name, options.out))


def train_photos(options: argparse.Namespace) -> None:
    """Train, calibrate, judge and write the photo classifier, or its robust twin."""
    if options.robust:
        return train_robust(options)
    settings = Settings(minutes=options.minutes, seed=options.seed)
    settings = replace(settings, epochs=options.epochs or settings.epochs)
    if options.start:
        settings = replace(settings, rate=settings.rate / 2, stages=((0.0, 96), (0.4, settings.size)))
    path, root = find_teacher(), data_root()
    classes = read_classes(CLASSES)
    photos = _photos(classes, options.limit)
    known, unseen = photos.split(settings.held_out, settings.seed)
    torch.manual_seed(settings.seed)
    teacher = Teacher(path, len(classes), TEACHER_SIZE)
    chance = torch.Generator().manual_seed(settings.seed + 2)
    fit_probe(teacher, known, normalise, chance, follow=_teaching)
    torch.manual_seed(settings.seed)
    student = Student.fresh(SmallResNet(len(classes)), settings)
    if options.start:
        student.start_from(load_file(options.start))
    _train_photos(student, teacher, known, settings, options.checkpoint)
    record = photo_record(student, known, unseen, settings, classes)
    record["teacher"] = teacher_facts(teacher, unseen)
    if options.start:
        record["started_from"] = _ancestor(options.start)
    record["elsewhere"] = elsewhere(student.average, settings.size, classes, root)
    print(f"{write_network('photos', student.average, record, options.out)}: {record['accuracy']}")


def train_robust(options: argparse.Namespace) -> None:
    """Train the robust twin from the clean net (``--from``, or the one that ships), judge both, and write."""
    if options.withstands is None:
        raise FoolscopeError(UNJUDGED)
    settings = RobustSettings(minutes=options.minutes, seed=options.seed)
    settings = replace(settings, epochs=options.epochs or settings.epochs)
    start, classes = options.start or FOLDER / "photos.safetensors", read_classes(CLASSES)
    photos = _photos(classes, options.limit)
    known, unseen = photos.split(settings.held_out, settings.seed)
    torch.manual_seed(settings.seed)
    clean, student = SmallResNet(len(classes)), Student.fresh(SmallResNet(len(classes)), settings)
    clean.load_state_dict(load_file(start))
    student.start_from(clean.state_dict())
    _train_photos(student, CleanNet(clean), known, settings, options.checkpoint, loss_of=robust_loss)
    record = photo_record(student, known, unseen, settings, classes)
    order = torch.randperm(len(unseen), generator=torch.Generator().manual_seed(settings.seed))
    judged = unseen.take(order[: settings.judged].tolist())
    record["robust"] = {
        "epsilon": settings.epsilon,
        "judged": len(judged),
        "photos": robust_accuracy(clean, judged, settings, options.withstands),
        "robust": robust_accuracy(student.average, judged, settings, options.withstands),
    }
    record["started_from"] = _ancestor(start)
    record["elsewhere"] = elsewhere(student.average, settings.size, classes, data_root())
    path = write_network("photos_robust", student.average, record, options.out)
    print(f"{path}: {record['accuracy']} {record['robust']}")


def _photos(classes: Classes, limit: int | None) -> PhotoSet:
    """Return the photos of ``classes``, ``limit`` in all or every one."""
    return load_photos(data_root(), classes, limit=limit and max(4, limit // len(classes)))


def _ancestor(weights: Path) -> dict[str, Any]:
    """Return the facts of the training before, from the record that lies beside its weights."""
    before = read_record(weights.stem, weights.parent)
    facts = ("sha256", "accuracy", "epochs", "seconds", "seed", "settings", "losses", "note", "started_from")
    return {fact: before[fact] for fact in facts if fact in before}


def _train_photos(
    student: Student,
    teacher: Guide,
    known: PhotoSet,
    settings: Settings,
    checkpoint: Path | None,
    loss_of: Loss = batch_loss,
) -> None:
    """Train with a bar, from the checkpoint if there is one, writing it after each epoch."""
    if checkpoint and checkpoint.exists():
        student.restore(checkpoint)
    with tqdm(total=1000, desc="photos", unit="‰") as bar:

        def on_epoch(report: Report) -> None:
            bar.write(
                f"epoch {report.epoch}: loss {report.loss:.3f} at {report.size} px, {report.seconds:.0f} s"
            )
            if checkpoint:
                student.save(checkpoint)

        train(student, known, teacher, settings, loss_of=loss_of, on_step=_show(bar), on_epoch=on_epoch)


def train_digit_nets(options: argparse.Namespace) -> None:
    """Train, judge and write LeNet and FC100."""
    pictures, labels = read_mnist(data_root(), train=True)
    tests = read_mnist(data_root(), train=False)
    for name in [options.only] if options.only else NETWORKS:
        settings = replace(RECIPES[name], seed=options.seed)
        settings = replace(settings, epochs=options.epochs or settings.epochs)
        torch.manual_seed(settings.seed)
        network, started = NETWORKS[name](), time.monotonic()
        with tqdm(total=1000, desc=name, unit="‰") as bar:
            rows = slice(0, options.limit)
            losses = train_digits(network, pictures[rows], labels[rows], settings, _show(bar))
        network.half().float()  # what is shipped is float16, so that is what is judged
        record = digit_record(network, tests, settings, losses, time.monotonic() - started)
        print(f"{write_network(name, network, record, options.out)}: test error {record['test_error']} %")


def train_decayed(options: argparse.Namespace) -> None:
    """Train, judge and write the two LeNets that differ in their weight decay."""
    pictures, labels = read_mnist(data_root(), train=True)
    known = pictures[: options.limit], labels[: options.limit]
    tests = read_mnist(data_root(), train=False)
    for name in [options.only] if options.only else DECAYS:
        run = fresh(name, known[0], options.seed, options.epochs)
        if options.checkpoint:
            run.restore(options.checkpoint)
        for _ in tqdm(range(run.training.done, options.epochs), desc=name, unit="epoch"):
            run.go_on(known, tests)
            if options.checkpoint:
                run.save(options.checkpoint)
        network = run.training.network.half().float()  # what is shipped is float16, so that is what is judged
        record = decay_record(run, network, known, tests)
        print(f"{write_network(name, network, record, options.out)}: test error {record['test_error']} %")


def _show(bar: Any) -> Callable[[float, float], None]:
    """Return what moves a bar of a thousand steps to the progress it is told."""

    def move(progress: float, loss: float) -> None:
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.update(round(progress * 1000) - bar.n)

    return move


def _teaching(parts: Iterable[Tensor]) -> Iterable[Tensor]:
    return tqdm(list(parts), desc="teacher", unit="batch")


if __name__ == "__main__":
    raise SystemExit(console.run(main))
