"""What the live view can say: found where it is written, so that no test keeps a list of its own."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import attacks
from engine import checks, sentences, store
from settings import LIVE

LITERAL = re.compile(r'\bsay\(\s*("(?:[^"\\]|\\.)*")')


def spoken() -> set[str]:
    """Return every phrase and template that may reach the live view: its own, the runs' and the findings'."""
    return said_by_the_browser() | sentences.templates() | findings() | {forgotten()}


def said_by_the_browser() -> set[str]:
    """Return each phrase that stands in the live view's modules as ``say("...")``."""
    return {phrase for path in LIVE.glob("*.js") if path.stem != "compare" for phrase in _literal(path)}


def of_rooms() -> set[str]:
    """Return each phrase that stands in the modules of rooms' pages, which have the live view's as well."""
    return {phrase for path in (LIVE / "rooms").glob("*.js") for phrase in _literal(path)}


def of_inside() -> set[str]:
    """Return each phrase that stands in the modules of the section that looks inside a network."""
    return {phrase for path in (LIVE / "inside").glob("*.js") for phrase in _literal(path)}


def compared() -> set[str]:
    """Return each phrase that stands in the module of a comparison."""
    return _literal(LIVE / "compare.js")


def _literal(path: Path) -> set[str]:
    return {json.loads(phrase) for phrase in LITERAL.findall(path.read_text(encoding="utf-8"))}


def findings() -> set[str]:
    """Return what the checks of one run see and say: their strings that are whole sentences, and what attacks
    say of their dead ends."""
    own = {text for check in checks.CHECKS for text in _strings(check) if re.match(r"[A-Z].* .*\.$", text)}
    return own | {advice for kind in attacks.registry().values() for advice in kind.dead_ends.values()}


def forgotten() -> str:
    """Return the sentence about a run that the server does not know."""
    (found,) = (text for text in _strings(store.Store.get) if text.startswith("This server"))
    return found


def _strings(function: object) -> Iterator[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    body = tree.body[0]
    assert isinstance(body, ast.FunctionDef)
    for statement in body.body[1:]:  # the first one is the docstring
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
