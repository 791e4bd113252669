"""What a network gives: logits or what logits can be made of; of several outputs, which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from engine.admission.subject import probes, reason
from errors import BadNetwork
from models.added import adapting
from models.added.record import CheckResult, InputFormat, OutputFormat, OutputKind, Plain, Verdict
from models.imagenet import labels as imagenet_labels

BOXES = frozenset(("boxes", "pred_boxes", "bboxes", "bbox", "detections", "masks", "pred_masks", "keypoints"))
SCALES = (30.0, -30.0, 1000.0, -1000.0)
"""The images are multiplied by these: logits leave [0, 1] then, probabilities never do."""
TOLERANCE = 1e-3
"""How far from 1 probabilities may add up."""
LINEAR = ("Addmm", "Mm", "Bmm", "Convolution", "Linear", "Addbmm")
RESHAPING = ("View", "UnsafeView", "Reshape", "Squeeze", "Slice", "Select", "Clone", "ToCopy", "Alias")
DETECTOR = (
    "Expected a classifier, got a network that gives boxes or masks, {shape}: detectors cannot be attacked "
    "here."
)
SEGMENTER = (
    "Expected a classifier, got a network that gives a map of {height} x {width} answers for an image: "
    "segmenters cannot be attacked here."
)
KINDS: Mapping[OutputKind, str] = {
    "logits": "It gives {classes} logits.",
    "log_probabilities": "It gives the logarithms of {classes} probabilities, which are logits, too.",
    "probabilities": "It gives {classes} probabilities (they add up to 1): their logarithms are its logits.",
    "sigmoids": "It gives {classes} numbers in [0, 1] that do not add up to 1: its classes do not "
    "exclude each other. Their logits are taken as if they did; the order of the classes is its own.",
    "one_logit": "It gives one number, taken for the logit of the second of two classes.",
    "one_probability": "It gives one number in [0, 1], taken for the probability of the second of two "
    "classes.",
}
PLAIN = ("logits", "log_probabilities")


@dataclass(frozen=True)
class Outputs:
    """What a network gives, what it takes as far as that shows here, and for how many classes."""

    gives: OutputFormat
    takes: InputFormat
    classes: int
    results: tuple[CheckResult, ...]


def outputs(network: nn.Module, takes: InputFormat, labels: tuple[str, ...] | None) -> Outputs:
    """Return what a network gives that answers for images of that format; ``labels`` are those that somebody
    gave. Raises `errors.BadNetwork` with the reason when it is no classifier."""
    x = probes(takes)
    with torch.no_grad():
        answer = network(x[:1])
    part, tensor = _part(answer)
    gives = OutputFormat(part=part, flat=_flat(tensor))
    notes = [*_of_shape(answer, tensor, gives)]
    takes, alone = _together(network, x, takes, gives)
    given = _rows(network, x, takes, gives)
    _check_finite(given)
    gives = replace(gives, kind=_kind(network, x, takes, gives))
    verdict: Verdict = "fine" if gives.kind in PLAIN else "note"
    notes.append(CheckResult("outputs", verdict, KINDS[gives.kind], {"classes": given.shape[1]}))
    gives = replace(gives, background=_has_background(given.shape[1], labels))
    if gives.background:
        words = "The first of its {outputs} outputs is a background that no image shows: it is left out."
        notes.append(CheckResult("outputs", "note", words, {"outputs": given.shape[1]}))
    classes = adapting.logits(given, gives).shape[1]
    return Outputs(gives, takes, classes, (*notes, *alone, *_constant(given)))


def _part(answer: Any) -> tuple[str, Tensor]:
    """Return which part of an answer holds a row for an image, "" for the whole, and that part."""
    if isinstance(answer, Tensor):
        return "", answer
    if isinstance(answer, Mapping):
        return _part_by_name(answer)
    if isinstance(answer, tuple | list):
        if answer and isinstance(answer[0], Mapping) and _has_boxes(answer[0]):
            raise BadNetwork(DETECTOR, shape=", ".join(map(str, answer[0])))
        if answer and isinstance(answer[0], Tensor):
            return "0", answer[0]
    elif isinstance(getattr(answer, "logits", None), Tensor):
        return "logits", answer.logits
    words = "Expected a network that gives a tensor, got one that gives {kind}."
    raise BadNetwork(words, kind=type(answer).__name__)


def _part_by_name(answer: Mapping[Any, Any]) -> tuple[str, Tensor]:
    if _has_boxes(answer):
        raise BadNetwork(DETECTOR, shape=", ".join(map(str, answer)))
    rows = [name for name, value in answer.items() if isinstance(value, Tensor) and value.ndim == 2]
    names = [name for name in ("logits", "out") if isinstance(answer.get(name), Tensor)] or rows
    if names and (len(rows) <= 1 or names[0] in ("logits", "out")):
        return str(names[0]), answer[names[0]]
    words = "Expected an output called “logits”, or a single one with a number a class, got: {names}."
    raise BadNetwork(words, names=", ".join(map(str, answer))[:200] or "{}")


def _has_boxes(answer: Mapping[Any, Any]) -> bool:
    return not BOXES.isdisjoint(map(str, answer))


def _flat(tensor: Tensor) -> bool:
    """Return whether the numbers for an image are not a row yet; raises `errors.BadNetwork` when they are
    none, as those of a detector or a segmenter."""
    shape = tuple(tensor.shape)
    if not tensor.is_floating_point():
        words = (
            "Expected numbers with a gradient, got {kind} numbers: the class alone (an argmax) cannot be "
            "attacked with gradients."
        )
        raise BadNetwork(words, kind=str(tensor.dtype).removeprefix("torch."))
    if tensor.numel() == 0:
        raise BadNetwork("Expected a number for each class, got none.")
    if len(shape) == 4 and shape[2:] != (1, 1) and shape[0] == 1:
        raise BadNetwork(SEGMENTER, height=shape[2], width=shape[3])
    if max(shape, default=1) != tensor.numel():
        raise BadNetwork(DETECTOR, shape=" x ".join(map(str, shape)))
    return len(shape) != 2 or shape[0] != 1


def _of_shape(answer: Any, tensor: Tensor, gives: OutputFormat) -> Iterator[CheckResult]:
    """Yield what is worth knowing of the form in which an answer for one image comes."""
    others = 0 if gives.part == "" else len(answer) - 1 if hasattr(answer, "__len__") else 0
    if others:
        words = "It gives {count} outputs: “{part}” is taken, with a number for each class."
        yield CheckResult("outputs", "note", words, {"count": others + 1, "part": gives.part})
    if gives.flat and tensor.ndim > 1:
        words = "Its answer for an image has the shape {shape}: it is taken as a row of {outputs}."
        facts: dict[str, Plain] = {"shape": " x ".join(map(str, tensor.shape[1:])), "outputs": tensor.numel()}
        yield CheckResult("outputs", "note", words, facts)


def _together(
    network: nn.Module, x: Tensor, takes: InputFormat, gives: OutputFormat
) -> tuple[InputFormat, tuple[CheckResult, ...]]:
    """Return the format, with ``one_at_a_time`` where the network fails for several images at once."""
    try:
        with torch.no_grad():
            several = adapting.selected(network(x), gives, len(x))
        failure = "" if len(several) == len(x) and several.ndim == 2 else "a wrong number of answers"
    except Exception as error:  # what a network's own code raises is its own
        failure = reason(error)
    if not failure:
        return takes, ()
    words = (
        "It fails for several images at once ({reason}): they are given to it one at a time, which is slower."
    )
    return replace(takes, one_at_a_time=True), (CheckResult("batch", "note", words, {"reason": failure}),)


def _rows(network: nn.Module, x: Tensor, takes: InputFormat, gives: OutputFormat) -> Tensor:
    with torch.no_grad():
        return adapting.rows(network, x, takes, gives).float()


def _check_finite(given: Tensor) -> None:
    """Raise `errors.BadNetwork` unless every number is one; of a logarithm, minus infinity is one, too."""
    bad = (~(given.isfinite() | given.isneginf())).any(1) | given.isneginf().all(1)
    if bad.any():
        words = "Expected finite numbers, got NaN or infinity for {bad} of {images} images."
        raise BadNetwork(words, bad=int(bad.sum()), images=len(given))


def _kind(network: nn.Module, x: Tensor, takes: InputFormat, gives: OutputFormat) -> OutputKind:
    """Return what the numbers are, from those for photos and noise, as they are and made extreme."""
    given = _rows(network, x, takes, gives)
    single = given.shape[1] == 1
    if _last_operation(network, x[:1], gives).startswith(LINEAR):
        return "one_logit" if single else "logits"
    given = torch.cat([given, *(_rows(network, scale * x, takes, gives) for scale in SCALES)])
    given = given[~given.isnan().any(1) & ~given.isposinf().any(1)]
    within = bool(((given >= -TOLERANCE) & (given <= 1 + TOLERANCE)).all()) and bool(given.any())
    if single:
        return "one_probability" if within else "one_logit"
    if within:
        return "probabilities" if _adds_up(given) else "sigmoids"
    return "log_probabilities" if bool((given <= TOLERANCE).all()) and _adds_up(given.exp()) else "logits"


def _adds_up(probabilities: Tensor) -> bool:
    return bool(((probabilities.sum(1) - 1).abs() < TOLERANCE).all())


def _last_operation(network: nn.Module, x: Tensor, gives: OutputFormat) -> str:
    """Return the last operation that made the output, such as "Sigmoid", reshaping left aside; "" where there
    is no gradient."""
    try:
        with torch.enable_grad():
            tensor = adapting.selected(network(x.clone().requires_grad_() * 1), gives, 1)
    except Exception:  # the check of the gradient says what is wrong with it
        return ""
    node = tensor.grad_fn
    while node is not None and node.name().removesuffix("Backward0").startswith(RESHAPING):
        node = node.next_functions[0][0] if node.next_functions else None
    return node.name().removesuffix("Backward0") if node is not None else ""


def _has_background(count: int, labels: tuple[str, ...] | None) -> bool:
    """Return whether the first of ``count`` outputs is TensorFlow's background class before ImageNet's."""
    classes = len(imagenet_labels())
    if count != classes + 1:
        return False
    return labels is None or len(labels) == classes or labels[0].strip().casefold() in ("background", "n/a")


def _constant(given: Tensor) -> Iterator[CheckResult]:
    if bool((given == given[:1]).all()):
        words = "It gives the very same answer to {images} different images: it does not look at them."
        yield CheckResult("outputs", "note", words, {"images": len(given)})
