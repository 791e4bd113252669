"""The controls of an evaluation: which pictures, which networks, which attacks, at which budgets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

import attacks
import models
from app.compare.comparisons import NORMS, budgeted
from attacks.contract import Attack
from attacks.toolkit import norms
from components.display import attack_families
from components.i18n import preferences
from components.i18n.text import say
from engine.evaluation.archive import MOST_BYTES, MOST_PICTURES
from engine.evaluation.record import Plan
from engine.images.sources import samples
from engine.links import ANYTHING, DEFAULT
from models import weights

SHELF, OWN = "shelf", "own"
SOURCES = {SHELF: "From the shelf", OWN: "Your own"}
TARGETS = {
    ANYTHING: "anything else",
    "second likely": "2nd likely",
    "least likely": "least likely",
    "random": "random",
}
UPLOAD_MB = 20
"""The server's limit for one file (`.streamlit/config.toml`)."""
FIRST_ATTACKS = ("fgsm", "pgd")
SHOWN_FIRST = 8
"""Samples that are chosen at first."""


def source_picker() -> str:
    """Let the person choose where the pictures are from."""
    preferences.keep("evaluate.source", SHELF)
    return str(
        st.segmented_control(
            say("Pictures"),
            list(SOURCES),
            format_func=lambda name: say(SOURCES[name]),
            key="evaluate.source",
            required=True,
        )
    )


def samples_picker() -> list[str]:
    """Let the person choose samples."""
    named = [sample for sample in samples().values() if sample.file]
    preferences.keep("evaluate.samples", [s.name for s in named if s.shows and not s.group][:SHOWN_FIRST])
    return st.multiselect(
        say("Which"),
        [sample.name for sample in named],
        format_func=lambda name: say(samples()[name].label),
        key="evaluate.samples",
        placeholder=say("choose"),
        help=say("What they show is known, so that accuracy can be counted."),
    )


def files_picker() -> list[Any]:
    """Let the person send pictures or archives."""
    files = st.file_uploader(
        say("Pictures or a ZIP archive"),
        accept_multiple_files=True,
        key="evaluate.files",
        label_visibility="collapsed",
        max_upload_size=UPLOAD_MB,
        help=say(
            "Up to {pictures} pictures, {size} MB unpacked, {file} MB a file. Folders called by classes, or "
            "a table labels.csv with file and label, say what the pictures show.",
            pictures=MOST_PICTURES,
            size=MOST_BYTES // 2**20,
            file=UPLOAD_MB,
        ),
    )
    return list(files)


def plan_picker() -> Plan:
    """Let the person choose networks, attacks, budgets, steps and the target."""
    networks = _networks_picker()
    norm = _norm_picker()
    names = _attacks_picker(norm)
    budgets = _budgets_picker(norm)
    preferences.keep("evaluate.steps", 40)
    help = say("For attacks that keep a budget; the others take as many as they usually do.")
    steps = int(st.slider(say("Steps"), 1, 200, key="evaluate.steps", help=help))
    return Plan(
        tuple(networks), tuple(names), {"norm": norm, "steps": str(steps)}, tuple(budgets), _target_picker()
    )


def _networks_picker() -> list[str]:
    cards = {card.name: card for card in sorted(models.cards(), key=lambda c: c.lab) if weights.locate(card)}
    preferences.keep("evaluate.networks", [DEFAULT.model])
    return st.multiselect(
        say("Networks"),
        list(cards),
        format_func=lambda name: cards[name].title,
        key="evaluate.networks",
        placeholder=say("choose"),
        help=say("Only those whose weights are here."),
    )


def _norm_picker() -> str:
    preferences.keep("evaluate.norm", NORMS[0])
    return str(
        st.selectbox(
            say("Measured by"),
            NORMS,
            format_func=lambda name: say(norms.get(name).facts.title),
            key="evaluate.norm",
        )
    )


def offered(norm: str) -> list[str]:
    """Return the attacks that keep a budget in ``norm``, or look for the smallest change in it."""
    minimal = [name for name, kind in attacks.registry().items() if _minimal_in(kind, norm)]
    return attack_families.ordered([*budgeted(norm), *minimal])


def _minimal_in(kind: type[Attack], norm: str) -> bool:
    return kind.card.kind == "minimal" and norm in (attack_families.norms(kind.card.name) or (norm,))


def _attacks_picker(norm: str) -> list[str]:
    names, key = offered(norm), f"evaluate.attacks.{norm}"
    preferences.keep(key, [name for name in FIRST_ATTACKS if name in names])
    return st.multiselect(
        say("Attacks"), names, format_func=attack_families.called, key=key, placeholder=say("choose")
    )


def _budgets_picker(norm: str) -> Sequence[float]:
    facts, key = norms.get(norm).facts, f"evaluate.budgets.{norm}"
    preferences.keep(key, [facts.usual])
    return sorted(
        st.multiselect(
            say("Budgets"),
            sorted({0.0, *facts.budgets, facts.usual}),
            format_func=facts.text,
            key=key,
            placeholder=say("choose"),
            help=say("Two or more make a robustness curve."),
        )
    )


def _target_picker() -> str:
    preferences.keep("evaluate.target", ANYTHING)
    return str(
        st.selectbox(
            say("Make it say"),
            list(TARGETS),
            format_func=lambda name: say(TARGETS[name]),
            key="evaluate.target",
        )
    )
