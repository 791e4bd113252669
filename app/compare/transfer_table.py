"""Below a comparison, once its runs are over: whom each network's picture fools, and what each norm costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st
from markupsafe import Markup

import models
from attacks.toolkit.norms import L0, NORMS
from components.display import attack_families
from components.display.answer_cells import answer, table
from components.display.probability_bars import percent
from components.i18n.text import named, say, translated
from components.lesson.session_cache import kept
from engine import checks
from engine.base import EngineBase
from engine.robustness.transfer import testify
from engine.run import Prediction, Run
from models.core import Card

Cells = list[list[tuple[Prediction, Prediction]]]


def when_over(runs: Sequence[Run], show: Callable[[], None], meanwhile: str = "") -> None:
    """Wait for the runs, the rest of the page staying as it is, with the caption ``meanwhile`` if there is
    one; then call ``show``."""
    if all(run.over for run in runs):
        show()
        return

    def wait() -> None:
        if all(run.over for run in runs):
            st.rerun()
        if meanwhile:
            st.caption(meanwhile)

    st.fragment(wait, run_every=1.0)()


def after(engine: EngineBase, runs: Sequence[Run], mode: str) -> None:
    """Show, once the runs are over, what the ``mode`` has below."""

    def show() -> None:
        recorded = [run for run in runs if len(run)]
        if recorded and mode == "networks":
            networks(engine, recorded)
        elif recorded:
            norms(recorded)

    when_over(runs, show, say("What follows from these runs stands here once all are over."))


def warn(runs: Sequence[Run]) -> None:
    """Say what is worth knowing about runs of one picture, network and goal, side by side."""
    for finding in checks.compare(runs):
        template, facts = finding.said
        st.warning(
            f"{say(template, **translated(facts))} {say(finding.means)} [{say('Read on')}]({finding.url})"
        )


def networks(engine: EngineBase, runs: Sequence[Run]) -> None:
    """Show the transfer table: rows are the networks attacked, columns those asked about the picture."""
    names = [run.recipe.model for run in runs]
    with st.spinner(say("Asking every network about every picture…")):
        cells = kept(("transfer", *(run.id for run in runs)), lambda: asked(engine, runs))
    st.markdown(f"### {say('Does it transfer?')}")
    st.markdown(
        say(
            "Each row is a picture made against one network, each column a network that is asked about it; "
            "✗ when it no longer says what it said of the clean picture, be that the target or not."
        )
    )
    clean = [engine.classify(run.recipe.model, run.recipe.image, run.recipe.crop)[0] for run in runs]
    head: list[str] = [
        say("the clean picture"),
        *(answer(opinion.label, opinion.probability) for opinion in clean),
    ]
    rows = [head]
    for run, row in zip(runs, cells, strict=True):
        columns = zip(row, names, clean, strict=True)
        answers = [_cell(pair, name == run.recipe.model, first.label) for pair, name, first in columns]
        title = Markup("{}<br><small>{}</small>").format(_title(run), _goal(run))
        rows.append([title, *answers])
    table([say("Attacked ↓ Asked →"), *(models.card(name).title for name in names)], rows, "matrix")
    st.caption(_caption(cells, names))


def asked(engine: EngineBase, runs: Sequence[Run]) -> Cells:
    """Return, for each run, what the network of every run says of its clean and of its last picture."""
    return [[testify(engine, run, other.recipe.model) for other in runs] for run in runs]


def transferred(cells: Cells) -> tuple[int, int]:
    """Return how often a network that was not attacked is fooled, and of how many."""
    size = range(len(cells))
    pairs = [cells[row][column] for row in size for column in size if row != column]
    return sum(before.label != after.label for before, after in pairs), len(pairs)


def _cell(pair: tuple[Prediction, Prediction], own: bool, clean: str) -> Markup:
    """Return what was said of the attacked picture; beside it, where resizing alone changed the answer
    ``clean``, what was said of the clean picture at that size, for that is what it is compared with."""
    before, after = pair
    text = answer(after.label, after.probability, before.label != after.label)
    note = say("attacked") if own else say("clean, resized: {label}", label=named(before.label))
    return Markup("{}<br><small>{}</small>").format(text, note) if own or before.label != clean else text


def _caption(cells: Cells, names: Sequence[str]) -> str:
    count, of = transferred(cells)
    if not of:
        return say("Choose a second network to see whether it transfers.")
    sizes = len({models.card(name).size for name in names}) > 1
    fooled = say("Fooled without having been attacked: {count} of {of}.", count=count, of=of)
    resized = say("Pictures are resized where a network takes another size.")
    return f"{fooled} {resized}" if sizes else fooled


def _title(run: Run) -> str:
    return models.card(run.recipe.model).title


def _goal(run: Run) -> str:
    target = run.recipe.target
    return say("to anything else") if target is None else say("to {label}", label=named(run.labels[target]))


def norms(runs: Sequence[Run]) -> None:
    """Show what each change measures in every norm, and whether it fools."""
    st.markdown(f"### {say('What each change measures')}")
    head = [say("Kept small"), say("Budget"), say("Says"), *NORMS, say("values changed (l0)")]
    table(head, [_measured(run) for run in runs], "norms")
    st.caption(_comparable(models.card(runs[0].recipe.model)))


def sizes(run: Run) -> dict[str, float]:
    """Return how large the run's last change is: linf, l2, l1 on the scale of [0, 1], and l0, the share of
    values that it changes by half a grey level or more."""
    last = len(run) - 1
    changed = np.abs(run.delta(last)) >= 0.5 / 255
    figures = run.figures(last)
    return {name: float(figures[name] or 0) for name in NORMS} | {L0.name: float(changed.mean())}


def _measured(run: Run) -> list[str]:
    norm, budget = str(run.recipe.params["norm"]), run.recipe.build().bound()
    size, top = sizes(run), run.top(len(run) - 1)[0]
    limit = say("smallest") if budget is None else NORMS[norm].facts.text(budget[1])
    says = answer(top.label, top.probability, top.index != run.original)
    amounts = [norm.facts.text(size[name]) for name, norm in NORMS.items()]
    return [
        f"{attack_families.called(run.recipe.attack)}, {norm}",
        limit,
        says,
        *amounts,
        percent(size[L0.name]),
    ]


def _comparable(card: Card) -> str:
    count = card.channels * card.size**2
    return say(
        "This picture has m = {count} values. A change of ε on each has length ε√m = {root} ε "
        "(l2) and sum εm = {count} ε (l1). A value counts as changed from half a grey level on.",
        count=f"{count:,}",
        root=f"{count**0.5:.0f}",
    )
