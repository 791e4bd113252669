"""Tensors of a file put into a network: where they stand in it, what they are called, which do not fit."""

from __future__ import annotations

import difflib
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from errors import BadNetwork, WeightsError
from models.added.headers import checkpoints, safetensors
from models.added.headers.limits import shown, sized
from models.added.record import CheckResult

KEPT = "weights.safetensors"
CLASSES = 1000
SAFETENSORS = ".safetensors"
KEYS = (
    "state_dict", "model_state_dict", "model", "net", "network", "model_state", "module", "weights", "params",
    "ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "params_ema", "teacher", "student",
)  # fmt: skip
"""Under which keys checkpoints keep a network's tensors, the likelier first."""
TRAINING = {
    "aux1", "aux2", "AuxLogits", "aux_logits", "aux_head", "aux_classifier", "criterion", "loss", "loss_fn",
    "n_averaged", "total_ops", "total_params",
}  # fmt: skip
"""Parts of names of tensors that only training used, or counting."""
COUNTER = "num_batches_tracked"
"""What old files lack and evaluation does not use."""
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
NAMED = 3
"""Names in a sentence at most."""
HINTS = 500
"""Names among which the nearest is looked for at most."""
DAMAGED = (
    SafetensorError, UnpicklingError, RuntimeError, EOFError, OSError, ValueError, TypeError, AttributeError,
    LookupError, AssertionError, ArithmeticError, struct.error,
)  # fmt: skip
"""What readers raise for a damaged file whose header is in order."""


@dataclass(frozen=True)
class Tensors:
    """Tensors by name, float32 or whole numbers, all finite, and what is worth knowing of them."""

    values: Mapping[str, Tensor]
    notes: tuple[CheckResult, ...] = ()


@dataclass(frozen=True)
class Filled:
    """A network with a file's tensors, for how many ``classes`` it is, and what is worth knowing."""

    network: nn.Module
    classes: int
    notes: tuple[CheckResult, ...]


def understood(path: Path, network: nn.Module) -> Tensors:
    """Return the tensors of a person's file under the names of ``network``, which need not be for as many
    classes; raises `errors.WeightsError` when the file cannot be read."""
    tensors = load(path)
    named = renamed(tensors.values, network)
    return Tensors(named.values, (*tensors.notes, *named.notes))


def fill(path: Path, empty: Callable[[int], nn.Module]) -> Filled:
    """Return a network with the tensors of a person's file, made by ``empty`` for as many classes as the file
    is for.

    Raises `errors.WeightsError` when the file cannot be read, `errors.BadNetwork` when it does not fit.
    """
    network = empty(CLASSES)
    tensors = understood(path, network)
    count = classes(tensors.values, network)
    if count != CLASSES:
        network = empty(count)
        words = "The file is for {n} classes."
        tensors = replace(
            tensors, notes=(*tensors.notes, CheckResult("classes", "fine", words, {"n": count}))
        )
    return Filled(put(tensors.values, network), count, tensors.notes)


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors by name that a file holds, safetensors or PyTorch's own read as plain tensors.

    Raises `errors.WeightsError` when it is neither, or is not what its header says.
    """
    return dict(load(path).values)


def stored(folder: Path) -> dict[str, Tensor]:
    """Return the tensors that `keep` wrote into ``folder``, as they were; raises `errors.WeightsError`."""
    return _taken(KEPT, _content(folder / KEPT))[0]


def load(path: Path) -> Tensors:
    """Return the tensors that a person's file holds; nothing is unpickled beyond torch's ``weights_only``.

    The header is checked before anything is allocated. Raises `errors.WeightsError` with a sentence.
    """
    name = shown(path.name)
    sized(path)
    content = _content(path)
    values, notes = _taken(name, content)
    own = {key: value.detach() for key, value in values.items()}
    halves = Counter(
        _dtype(value) for value in own.values() if value.is_floating_point() and value.dtype != torch.float32
    )
    if halves:
        words = "Its numbers are {kinds}; they are used as float32."
        notes += (CheckResult("numbers", "note", words, {"kinds": ", ".join(sorted(halves))}),)
        own = {k: v.float() if v.is_floating_point() else v for k, v in own.items()}
    for key, value in own.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            words = "{path} holds a tensor “{name}” with numbers that are infinite or not numbers."
            raise WeightsError(words, path=name, name=shown(key))
    return Tensors(own, notes)


def renamed(values: Mapping[str, Tensor], network: nn.Module) -> Tensors:
    """Return tensors under the network's own names: without the prefix that most have in common, and without
    those that only training used."""
    own = network.state_dict().keys()
    current = {OLD_DENSENET.sub(r"\1\2", name): value for name, value in values.items()}
    notes = []
    prefix = _prefix(current, own)
    short = {name.removeprefix(prefix): value for name, value in current.items()}
    if prefix and len(short) == len(current):
        current = short
        words = "The names of its tensors begin with “{prefix}”, which was taken off."
        notes.append(CheckResult("prefix", "note", words, {"prefix": shown(prefix)}))
    unused = [name for name in current if name not in own and not TRAINING.isdisjoint(name.split("."))]
    if unused:
        words = "{n} tensors that only training used were left out ({names})."
        notes.append(CheckResult("unused", "note", words, {"n": len(unused), "names": _listed(unused)}))
    return Tensors({name: v for name, v in current.items() if name not in set(unused)}, tuple(notes))


def put(tensors: Mapping[str, Tensor], network: nn.Module) -> nn.Module:
    """Return ``network`` with the tensors, one for one; raises `errors.BadNetwork` with a sentence that names
    those that are missing, too many or of another shape."""
    own = network.state_dict()
    missing = [name for name in own if name not in tensors and not name.endswith(COUNTER)]
    extra = [name for name in tensors if name not in own]
    if missing or extra:
        raise _unlike(missing, extra, len(own))
    other = [name for name in tensors if tensors[name].shape != own[name].shape]
    if other:
        words = "The file does not fit the network: {n} of its tensors have another shape ({shapes})."
        shapes = [f"{shown(n)}: {_size(own[n])} expected, {_size(tensors[n])} came" for n in other[:NAMED]]
        raise BadNetwork(words, n=len(other), shapes="; ".join([*shapes, *["…"][: len(other) - NAMED]]))
    try:
        own.update(tensors)  # beside tensors it has the versions that networks such as MNASNet ask for
        network.load_state_dict(own, strict=True)
    except RuntimeError as error:
        raise BadNetwork("The file does not fit the network: {reason}", reason=shown(error)) from error
    return network.eval()


def keep(network: nn.Module, folder: Path) -> None:
    """Write the network's tensors into ``folder``, as `KEPT`; raises `errors.BadNetwork` when it has a state
    that is no tensor."""
    state = network.state_dict()
    odd = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if odd:
        words = "The network keeps something beside tensors ({names}), which cannot be stored."
        raise BadNetwork(words, names=_listed(odd))
    save_file({name: value.detach().contiguous().clone() for name, value in state.items()}, folder / KEPT)


def classes(values: Mapping[str, Tensor], network: nn.Module) -> int:
    """Return for how many classes a file's tensors are, compared with the same ``network`` for 1,000: the
    length of its heads, the tensors that are 1,000 long in the network and differ in nothing else.
    """
    own = network.state_dict()
    lengths = [
        len(values[name])
        for name, tensor in own.items()
        if name in values and tensor.ndim and len(tensor) == CLASSES and values[name].ndim
        if values[name].shape[1:] == tensor.shape[1:] and len(values[name])
    ]
    return lengths[-1] if lengths else CLASSES


def _content(path: Path) -> object:
    """Return what a file holds, once its header is found in order."""
    with path.open("rb") as file:
        start = file.read(9)
    pickled = start.startswith((checkpoints.ZIP, checkpoints.PICKLE))
    if pickled and path.suffix == SAFETENSORS:
        words = "{path} is called safetensors and is a pickle or an archive: it is not read."
        raise WeightsError(words, path=shown(path.name))
    if start.startswith(checkpoints.ZIP):
        checkpoints.check_archive(path)
    elif start.startswith(checkpoints.PICKLE):
        checkpoints.check_legacy(path)
    elif path.suffix == SAFETENSORS or start.endswith(b"{"):
        safetensors.check(path)
    else:
        words = "Expected {path} to be safetensors or a file of torch.save, got something else."
        raise WeightsError(words, path=shown(path.name))
    return _loaded(path, pickled)


def _loaded(path: Path, pickled: bool) -> object:
    try:
        if pickled:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=False)
        return load_file(path)
    except DAMAGED as error:
        raise _damaged(path, error) from error
    except BaseException as error:  # Rust panics are no Exception, and their class cannot be imported
        if type(error).__name__ != "PanicException":
            raise
        raise _damaged(path, error) from None


def _damaged(path: Path, error: BaseException) -> WeightsError:
    reason = shown(next(iter(str(error).splitlines()), "") or type(error).__name__)
    return WeightsError("{path} is damaged: {reason}.", path=shown(path.name), reason=reason)


def _taken(path: str, content: object) -> tuple[dict[str, Tensor], tuple[CheckResult, ...]]:
    """Return the tensors of a checkpoint, which may stand under a key, and what was left out."""
    under: list[str] = []
    others: list[str] = []
    while isinstance(content, dict) and not _is_state(content) and len(under) < NAMED:
        keys = [key for key in KEYS if isinstance(content.get(key), dict) and content[key]]
        if not keys:
            break
        under.append(keys[0])
        others += keys[1:]
        content = content[keys[0]]
    if not isinstance(content, dict) or not _is_state(content):
        words = "Expected {path} to hold tensors by name, got something else."
        raise WeightsError(words, path=path)
    values = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    left = [str(key) for key in content if key not in values]
    return values, (*_under(under, others), *_left_out(left))


def _is_state(content: Mapping[object, object]) -> bool:
    """Tell whether a dictionary holds tensors by name, and none of the keys under which others stand."""
    tensors = [key for key, value in content.items() if isinstance(value, Tensor)]
    nested = any(isinstance(content.get(key), dict) for key in KEYS)
    return bool(tensors) and not nested and all(isinstance(key, str) for key in tensors)


def _under(keys: Sequence[str], others: Sequence[str]) -> tuple[CheckResult, ...]:
    if not keys:
        return ()
    facts = {"key": " / ".join(keys), "others": ", ".join(others)}
    words = "Its tensors stand under “{key}”."
    if others:
        words = "Its tensors stand under “{key}”; there are others under {others}, which were not taken."
    return (CheckResult("key", "note", words, facts),)


def _left_out(names: Sequence[str]) -> tuple[CheckResult, ...]:
    words = "What is no tensor was left out: {names}."
    return (CheckResult("left_out", "note", words, {"names": _listed(names)}),) if names else ()


def _prefix(values: Iterable[str], own: Iterable[str]) -> str:
    """Return what stands before the network's own names in most of the names, "" for nothing."""
    known, counts = set(own), Counter[str]()
    for name in values:
        parts = name.split(".")
        for start in range(min(len(parts), 8)):
            if ".".join(parts[start:]) in known:
                counts[".".join((*parts[:start], ""))] += 1
                break
    return max(counts, key=lambda prefix: (counts[prefix], -len(prefix))) if counts else ""


def _unlike(missing: Sequence[str], extra: Sequence[str], count: int) -> BadNetwork:
    """Return the refusal of tensors of which some are missing or too many."""
    facts = {
        "missing": len(missing),
        "all": count,
        "missing_names": _listed(missing, extra),
        "extra": len(extra),
        "extra_names": _listed(extra),
    }
    if not extra:
        words = "The file does not fit the network: {missing} of {all} tensors are missing ({missing_names})."
    elif not missing:
        words = "The file does not fit the network: it has {extra} tensors too many ({extra_names})."
    else:
        words = (
            "The file does not fit the network: {missing} of {all} tensors are missing ({missing_names}), "
            "and {extra} are too many ({extra_names})."
        )
    return BadNetwork(words, **facts)


def _listed(names: Sequence[str], others: Sequence[str] = ()) -> str:
    """Return the first of the names, with the nearest of some others behind each."""
    first = [shown(name) + _nearest(name, others) for name in names[:NAMED]]
    return ", ".join([*first, *["…"][: len(names) - NAMED]])


def _nearest(name: str, others: Sequence[str]) -> str:
    near = difflib.get_close_matches(name[:200], [other[:200] for other in others[:HINTS]], n=1, cutoff=0.8)
    return f" – {shown(near[0])}?" if near else ""


def _dtype(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _size(value: Tensor) -> str:
    return " x ".join(map(str, value.shape)) or "1"
