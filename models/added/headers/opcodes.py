"""The pickle that names a checkpoint's tensors, followed on paper: which calls it asks for, none carried out.

PyTorch's own reader (``weights_only``) calls what it allows as it reads, and some of that allocates whatever
size is asked for: a ``bytearray``, a storage of the older format, which grows to the shape that a tensor
claims. So the sizes are read off first.
Source: the operations that ``torch/_weights_only_unpickler.py`` knows.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

MARK = object()
CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
VALUES = {"BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "LONG1"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, eq=False)
class Named:
    """A function or class that the pickle names, such as "torch._utils._rebuild_tensor_v2"."""

    name: str


@dataclass(frozen=True, eq=False)
class Call:
    """A call that the pickle asks for: the name of what, and with which arguments."""

    name: str
    arguments: Any


@dataclass(frozen=True, eq=False)
class Persistent:
    """A storage that lies outside of the pickle: what it says of it."""

    about: Any


@dataclass(frozen=True)
class Followed:
    """What a pickle asks for: every name, every call and every storage, in order."""

    names: tuple[str, ...]
    calls: tuple[Call, ...]
    storages: tuple[Persistent, ...]


def follow(file: IO[bytes]) -> Followed:
    """Return what the pickle that begins where ``file`` stands asks for, up to its end.

    Raises ValueError when it is not a pickle, or has an operation that checkpoints do not.
    """
    machine = _Machine()
    try:
        for code, argument, _ in pickletools.genops(file):
            machine.step(code.name, argument)
    except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__})") from error
    return Followed(tuple(machine.names), tuple(machine.calls), tuple(machine.storages))


class _Machine:
    """A stack and a memo, as a pickle has them; dictionaries are lists of what was put into them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.names: list[str] = []
        self.calls: list[Call] = []
        self.storages: list[Persistent] = []

    def step(self, name: str, argument: Any) -> None:
        """Follow one operation."""
        if name in VALUES:
            self.stack.append(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name]())
        elif name in TUPLES:
            self.stack[-TUPLES[name] :] = [tuple(self._last(TUPLES[name]))]
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name not in ("PROTO", "STOP"):
            self._compose(name, argument)

    def _compose(self, name: str, argument: Any) -> None:
        match name:
            case "MARK":
                self.stack.append(MARK)
            case "TUPLE":
                self.stack.append(tuple(self._from_mark()))
            case "APPENDS" | "SETITEMS":
                self._from_mark()
            case "APPEND":
                self.stack.pop()
            case "SETITEM":
                del self.stack[-2:]
            case "BUILD":
                self.stack.pop()
            case "GLOBAL":
                self.stack.append(self._named(argument))
            case "REDUCE" | "NEWOBJ":
                self.stack.append(self._call(*self._taken(2)))
            case "BINPERSID":
                self.stack.append(self._persistent(self.stack.pop()))
            case _:
                raise ValueError(f"its pickle has an operation that checkpoints do not have ({name})")

    def _last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError
        return self.stack[-count:]

    def _taken(self, count: int) -> list[Any]:
        values = self._last(count)
        del self.stack[-count:]
        return values

    def _from_mark(self) -> Iterator[Any]:
        start = next(i for i in range(len(self.stack) - 1, -2, -1) if i < 0 or self.stack[i] is MARK)
        values = self._taken(len(self.stack) - start)
        return iter(values[1:])

    def _named(self, argument: str) -> Named:
        self.names.append(argument.replace(" ", "."))
        return Named(self.names[-1])

    def _call(self, what: Any, arguments: Any) -> Call:
        self.calls.append(Call(what.name if isinstance(what, Named) else "", arguments))
        return self.calls[-1]

    def _persistent(self, about: Any) -> Persistent:
        self.storages.append(Persistent(about))
        return self.storages[-1]
