"""What is written down about a trained photo net: the facts that its card, its page and its tests read."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from models.core import Card, WeightsFile
from models.train.data import Classes, PhotoSet, photo_names
from models.train.loop import (
    MEAN,
    STD,
    Settings,
    Student,
    answers,
    best_temperature,
    calibration_error,
    normalise,
    top_k,
)
from models.train.teacher import Teacher
from settings import SAMPLES


def calibrate(network: nn.Module, logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Fold the best temperature into ``network.head`` and return what it changed.

    The temperature is fitted on the even rows; both errors are measured on the odd ones.
    """
    temperature = best_temperature(logits[::2], labels[::2])
    before = calibration_error(logits[1::2], labels[1::2])
    after = calibration_error(logits[1::2] / temperature, labels[1::2])
    head = network.head
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.div_(temperature)
        head.bias.div_(temperature)
    return {
        "temperature": round(temperature, 4),
        "ece_before": round(before * 100, 2),
        "ece_after": round(after * 100, 2),
        "unit": "percent; fitted on half of the held-out photos, measured on the other half",
    }


def per_class(logits: Tensor, photos: PhotoSet) -> dict[str, float]:
    """Return the percentage of each class's photos that are named right."""
    right = (logits.argmax(1) == photos.labels).float()
    rows = [photos.labels == index for index in range(len(photos.classes))]
    return {
        name: round(float(right[row].mean()) * 100, 1)
        for name, row in zip(photos.classes, rows, strict=True)
        if row.any()
    }


def confusions(logits: Tensor, photos: PhotoSet, most: int = 20) -> list[dict[str, Any]]:
    """Return the most frequent mistakes, with their counts."""
    pairs = Counter(
        (truth, guess)
        for truth, guess in zip(photos.labels.tolist(), logits.argmax(1).tolist(), strict=True)
        if truth != guess
    )
    return [
        {"is": photos.classes[truth], "said": photos.classes[guess], "times": times}
        for (truth, guess), times in pairs.most_common(most)
    ]


HELD_OUT_NOTE = (
    "Drawn by class with the seed; photos of one class with one file name stay on one side. The held-out "
    "photos come from the same collections as the training photos: people, sets and web pages recur, so "
    "photos from elsewhere fare worse. The held-out photos also chose the temperature."
)
DATA = "Caltech-101, 3,000 pictures of cats, dogs and pandas, and ImageNet photos (one per ImageNet class)"


def photo_record(
    student: Student,
    known: PhotoSet,
    unseen: PhotoSet,
    settings: Settings,
    classes: Classes,
) -> dict[str, Any]:
    """Calibrate the student's running average in place and return the facts of its training."""
    network = student.average
    calibration = calibrate(network, answers(network, unseen.pictures, settings.size), unseen.labels)
    network.half().float()  # what is shipped is float16, so that is what is judged
    judged = _judged(answers(network, unseen.pictures, settings.size), unseen)
    counts = zip(unseen.classes, known.counts(), unseen.counts(), strict=True)
    return {
        "data": DATA,
        "size": settings.size,
        "mean": MEAN,
        "std": STD,
        "labels": list(unseen.classes),
        **judged,
        "held_out": {"photos": len(unseen), "trained_on": len(known), "note": HELD_OUT_NOTE},
        "calibration": calibration,
        "seed": settings.seed,
        "epochs": student.epoch,
        "seconds": round(student.seconds),
        "losses": [round(loss, 3) for loss in student.losses],
        "settings": asdict(settings),
        "classes": {name: {**classes[name], "trained_on": n, "held_out": out} for name, n, out in counts},
    }


def _judged(logits: Tensor, unseen: PhotoSet) -> dict[str, Any]:
    rates = per_class(logits, unseen)
    accuracy = {
        "held-out top-1": round(top_k(logits, unseen.labels, 1), 1),
        "held-out top-5": round(top_k(logits, unseen.labels, 5), 1),
        "held-out top-1, mean over classes": round(sum(rates.values()) / len(rates), 1),
    }
    return {"accuracy": accuracy, "per_class": rates, "confusions": confusions(logits, unseen)}


def teacher_facts(teacher: Teacher, unseen: PhotoSet) -> dict[str, Any]:
    """Return what the student was taught by, and how good that is."""
    taught = answers(teacher, unseen.pictures, teacher.size)
    right = round(top_k(taught, unseen.labels, 1), 1)
    network = "mobilenet_v2 (ImageNet) with a linear probe"
    return {"network": network, "size": teacher.size, "held_out_top1": right}


def elsewhere(network: nn.Module, size: int, classes: Classes, root: Path) -> dict[str, Any]:
    """Return the answers to photos from other sources, none of which was trained on.

    Raises `errors.MissingData` when the ImageNet archive, which names the expected classes, is missing.
    """
    names = photo_names(root)
    ours = {names[int(i)].casefold(): name for name, merged in classes.items() for i in merged["imagenet"]}
    card = Card("photos", "", "", size, tuple(classes), WeightsFile("", ""))
    photos: list[dict[str, Any]] = []
    if (root / "photos.tsv").is_file():
        with (root / "photos.tsv").open(encoding="utf-8") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                truth = line["expected class"].split(" (")[0]
                photos.append(_answer(network, card, root / line["file"], truth, ours.get(truth.casefold())))
    index = json.loads((SAMPLES / "index.json").read_text(encoding="utf-8"))
    samples = [
        _answer(
            network,
            card,
            SAMPLES / sample["file"],
            sample["label"],
            next((name for name in sample.get("shows", ()) if name in classes), None),
        )
        for sample in index
        if "file" in sample and sample.get("channels", 3) == 3
    ]
    scores = {"photos": _score(photos), "samples": _score(samples)}
    return {"of_our_classes": scores, "photos": photos, "samples": samples}


def _score(given: Sequence[dict[str, Any]]) -> dict[str, int]:
    known = [answer for answer in given if answer["class"]]
    first = sum(answer["top5"][0][0] == answer["class"] for answer in known)
    any_of_five = sum(answer["class"] in [name for name, _ in answer["top5"]] for answer in known)
    return {"photos": len(known), "top1": first, "top5": any_of_five}


@torch.no_grad()
def _answer(network: nn.Module, card: Card, path: Path, truth: str, ours: str | None) -> dict[str, Any]:
    with Image.open(path) as picture:
        seen = card.preprocess(picture.convert("RGB"))
    best = network.eval()(normalise(seen.unsqueeze(0)))[0].softmax(0).topk(5)
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    top5 = [[card.labels[index], round(chance, 3)] for chance, index in pairs]
    return {"file": path.name, "expected": truth, "class": ours, "top5": top5}
