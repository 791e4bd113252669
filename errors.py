"""Every way in which Foolscope says no, under one root.

    FoolscopeError              one sentence for a person: what was expected, what came
    ├── BadSetting              a parameter outside its range, or of the wrong type
    ├── UnknownName             no attack, model, class, sample or run of that name
    ├── BadTarget               a target that cannot be aimed at (the current class, say)
    ├── NoStart                 no picture to begin from that the network is already fooled by
    ├── BadImage                bytes that are not an image this server will decode
    ├── BadRecipe               a recipe in a picture that cannot be used
    ├── WeightsError            weights that cannot be used
    │   ├── MissingWeights      not in any folder and not to be downloaded
    │   └── WrongHash           a file whose sha256 is not the one on its card
    ├── MissingExtra            an optional package that is not installed
    ├── BadNetwork              a network that cannot be added: it fails a check
    ├── MissingData             a data set that is not where FOOLSCOPE_DATA says
    ├── DownloadFailed          a file that could not be fetched
    │   └── WrongFile           what was sent is not the file with the expected sha256
    ├── ModelFailed             the network answered with something that is not a number
    ├── OutOfMemory             the device has no memory for one picture
    ├── EngineFailed            the engine broke and has started again
    ├── HistoryFailed           the database of runs cannot be read or written
    │   └── HistoryDamaged      it was damaged: it was set aside, and a new one started
    ├── NotAllowed              what a room does not allow, or not to whoever asks
    │   ├── OverAllowance       a run that costs more of the device's time than it may
    │   └── TooMany             too much at once: later it may be allowed
    │       └── TooManyRuns     a person has as many runs as one may have at the same time
    ├── LabCancelled            an experiment was cancelled between two of its stages
    └── EngineClosed            the engine was shut down while a run was waiting

The message is the whole report: routes and the command line print it as it is, pages in the reader's language
where they know its template.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NO_NAME = "There is no {kind} called “{name}”; did you mean: {hint}?"
NOTHING_YET = "There is no {kind} called “{name}”: there is none yet."
SHARED = "Expected the name of one {kind}; “{name}” may be any of {count}: {hint}."
SHOWN = 8
"""Names in a hint at most."""


class Hint(tuple[str, ...]):
    """Names that a refusal offers; as text they are a list with commas."""

    def __str__(self) -> str:
        return ", ".join(self)


class FoolscopeError(Exception):
    """Root of every refusal. ``str(error)`` is one sentence fit for a page.

    ``sentence`` has ``{places}`` for ``facts``, as `str.format` takes them, where there are any.
    """

    def __init__(self, sentence: str = "", **facts: object) -> None:
        super().__init__(sentence.format(**facts) if facts else sentence)
        self.sentence, self.facts = sentence, facts


class BadSetting(FoolscopeError):
    """A parameter outside its declared range, or of the wrong type."""


class UnknownName(FoolscopeError):
    """A name that nothing is registered under."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Return the error for ``name``, with the nearest known names as a hint."""
        names = list(known)
        if not names:
            return cls(NOTHING_YET, kind=kind, name=name[:80])
        near = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=3, cutoff=0.5)
        hint = Hint(n for n in names if n.lower() in near) or Hint(names[:SHOWN])
        return cls(NO_NAME, kind=kind, name=name[:80], hint=hint)

    @classmethod
    def shared(cls, kind: str, name: str, candidates: Iterable[str]) -> UnknownName:
        """Return the error for ``name``, which several ``candidates`` go by."""
        names = list(candidates)
        hint = Hint(names if len(names) <= SHOWN else [*names[:SHOWN], "…"])
        return cls(SHARED, kind=kind, name=name[:80], count=len(names), hint=hint)


class BadTarget(FoolscopeError):
    """A target class that the attack cannot be aimed at."""


class NoStart(FoolscopeError):
    """A search that begins at a fooling picture, however different, has found none."""


class BadImage(FoolscopeError):
    """Bytes that are not an image, or not one that is safe to decode."""


class BadRecipe(FoolscopeError):
    """A recipe in a picture that cannot be used."""


class WeightsError(FoolscopeError):
    """Weights that cannot be used."""


class MissingWeights(WeightsError):
    """Weights that are in no folder and that could not be downloaded."""


class WrongHash(WeightsError):
    """A weights file whose sha256 differs from the one on its card."""


class MissingExtra(FoolscopeError):
    """An optional package that is not installed."""


class BadNetwork(FoolscopeError):
    """A network that cannot be added: of another kind than a classifier, or one that fails a check."""


class MissingData(FoolscopeError):
    """A data set that is not in the folder which ``FOOLSCOPE_DATA`` names."""


class DownloadFailed(FoolscopeError):
    """A file that could not be fetched; ``reason`` says why in a few words."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__("{url} could not be fetched: {reason}.", url=url, reason=reason)
        self.reason = reason


class WrongFile(DownloadFailed):
    """What was sent is not the file with the expected sha256."""


class ModelFailed(FoolscopeError):
    """The network's answer is not a number or has an unexpected shape, or the network was changed."""


class OutOfMemory(FoolscopeError):
    """The device's memory does not even hold what one picture takes."""


class EngineFailed(FoolscopeError):
    """The engine's thread broke; it has started again, but what was waiting is lost."""


class HistoryFailed(FoolscopeError):
    """The database of runs cannot be read or written; runs go on without it."""


class HistoryDamaged(HistoryFailed):
    """The database of runs was damaged and set aside, or removed; another one is in its place."""


class NotAllowed(FoolscopeError):
    """What a room does not allow, or allows others alone."""


class TooMany(NotAllowed):
    """Too much at once; later it may be allowed. ``after``: seconds until it is worth another try."""

    def __init__(self, sentence: str, after: float = 1.0, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.after = after


class TooManyRuns(TooMany):
    """A person has as many runs in the queue as one may have at the same time."""


class OverAllowance(NotAllowed):
    """A run costs more of the device's time than it is allowed; it has not begun."""


class LabCancelled(FoolscopeError):
    """An experiment was cancelled before its last stage."""


class EngineClosed(FoolscopeError):
    """The engine was shut down while a run was waiting."""
