"""The controls of a comparison: what races, under which budget, for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

import attacks
import models
from app.compare.comparisons import MEASURES, MOST, budgeted, known, manynormed
from attacks.toolkit import norms
from components.display import attack_families
from components.i18n import preferences
from components.i18n.text import say


def mode_picker(modes: Mapping[str, str], chosen: str) -> str:
    """Let the person choose what kind of comparison it is."""
    preferences.keep("compare.mode", chosen)
    picked = st.segmented_control(
        say("Compare"), list(modes), format_func=lambda m: say(modes[m]), key="compare.mode", required=True
    )
    return str(picked)


def norm_picker(names: Sequence[str]) -> str:
    """Let the person choose how a change is measured."""
    help = say("A budget is a largest change of any one value (linf), or of all values together (l2).")
    preferences.keep("compare.norm", names[0])
    picked = st.selectbox(
        say("Measured by"),
        names,
        format_func=lambda n: say(norms.get(n).facts.title),
        key="compare.norm",
        help=help,
    )
    return str(picked)


def racers_picker(chosen: Sequence[str], norm: str) -> list[str]:
    """Let the person choose the attacks that race."""
    names = attack_families.ordered(known(norm))
    key = f"compare.racers.{norm}"
    preferences.keep(key, [name for name in chosen if name in names])
    return st.multiselect(
        say("Attacks"),
        names,
        format_func=attack_families.called,
        key=key,
        max_selections=MOST,
        help=say(
            "Those that look for the smallest change keep no budget; the table says if they stayed in it."
        ),
        placeholder=say("choose"),
    )


def budget_picker(norm: str) -> float:
    """Let the person choose the budget that all keep."""
    key = f"compare.budget.{norm}"
    facts = norms.get(norm).facts
    preferences.keep(key, facts.usual)
    options = sorted({*facts.budgets, facts.usual, float(st.session_state[key])})
    return float(st.select_slider(say("Budget"), options, format_func=facts.text, key=key))


def steps_picker() -> int:
    """Let the person choose how many steps each takes."""
    preferences.keep("compare.steps", 40)
    help = say("For attacks that keep a budget; the others take as many as they usually do.")
    return int(st.slider(say("Steps"), 1, 200, key="compare.steps", help=help))


def swept_picker(norm: str) -> str:
    """Let the person choose the attack that is tried at every budget."""
    names = [n for n in budgeted(norm) if attacks.get(n).card.access != "control"]
    key = f"compare.swept.{norm}"
    preferences.keep(key, "pgd")
    return str(st.selectbox(say("Attack"), names, format_func=attack_families.called, key=key))


def networks_picker(names: Sequence[str]) -> list[str]:
    """Let the person choose which of the networks ``names`` are attacked and asked; theirs is first."""
    key = f"compare.networks.{names[0]}"
    preferences.keep(key, [name for name in names if not models.card(name).lab][:5] or list(names[:3]))
    return st.multiselect(
        say("Networks"),
        names,
        format_func=lambda n: models.card(n).title,
        key=key,
        max_selections=MOST,
        help=say(
            "Each is attacked, and asked about the others' pictures. Only those whose weights are here."
        ),
        placeholder=say("choose"),
    )


def normed_picker() -> str:
    """Let the person choose the attack that is carried out under every norm."""
    preferences.keep("compare.normed", "pgd")
    return str(
        st.selectbox(say("Attack"), manynormed(), format_func=attack_families.called, key="compare.normed")
    )


def measure_picker() -> str:
    """Let the person choose what makes budgets in several norms comparable."""
    preferences.keep("compare.measure", "value")
    help = say(
        "A change of every value by ε has length ε√m (l2) and sum εm (l1), for m values. Or all norms may "
        "move the picture by the same length, ε√m, which under l1 is very few values."
    )
    return str(
        st.selectbox(
            say("Budgets compare by"), list(MEASURES), format_func=lambda m: say(MEASURES[m]),
            key="compare.measure", help=help,
        )
    )  # fmt: skip
