"""What every command line shares: output in any encoding, and a quiet end when its reader leaves.

``run(main)`` is the last line of each ``__main__``. Windows writes redirected output in the country's code
page, and ``LC_ALL=C`` means ASCII: neither holds every character of a paper's title or of a file's name.
``| head -1`` closes the pipe while there is more to print.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper

LEFT, INTERRUPTED = 128 + 13, 128 + 2
"""Exit statuses by which a shell reports a program that SIGPIPE or SIGINT ended."""
ESCAPES = "foolscope.escapes"


def run(main: Callable[[], int | None]) -> int:
    """Return the exit status of ``main``, called with output that takes every character.

    A reader that closed the pipe ends it with `LEFT`, Ctrl+C with `INTERRUPTED`, both without a word. All
    output is written out before this returns. Every other exception passes.
    """
    _escape_unencodable()
    try:
        try:
            return main() or 0
        finally:
            _flush()  # a pipe closed before the last buffer is noticed here, not after the end
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if not _reader_left(error):
            raise
        _discard_output()
        return LEFT


def _escape_unencodable() -> None:
    """Make standard output escape, as JSON does, what its encoding lacks, so that JSON stays the same JSON.
    Standard error escapes from the start."""
    codecs.register_error(ESCAPES, _escape)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPES)


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _reader_left(error: OSError) -> bool:
    """Say whether a write failed because nobody reads; Windows may call that an invalid argument
    (python/cpython#79935), as it calls an impossible file name, which the error then holds."""
    windows = os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or windows


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # None where there was none to begin with, as under pythonw
            stream.flush()


def _discard_output() -> None:
    """Let what is still buffered go nowhere, so that the interpreter's own flush at its end succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            os.dup2(nowhere, stream.fileno())
