"""What the attacked picture survives, a version that survives more, and which other networks it fools."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from urllib.parse import urlencode

import streamlit as st
from markupsafe import Markup

import models
from attacks.toolkit.norms import L2, LINF
from components.display.answer_cells import answer, table
from components.i18n import preferences
from components.i18n.text import named, say, told
from components.lesson.session_cache import kept
from components.live.player import player
from components.owner import owner
from engine import links
from engine.base import EngineBase
from engine.robustness.answers import (
    BUDGETS,
    NOISE_SEED,
    USUAL_BUDGETS,
    Row,
    corrupted_answers,
    corruptions_for,
    survivor,
)
from engine.robustness.corruptions import CORRUPTIONS, MESSENGER_SIDE
from engine.robustness.transfer import Transfer, here, transfers
from engine.run import Prediction, Run
from errors import FoolscopeError, UnknownName

USUAL = ("jpeg75",)
"""What is ticked at first."""


def render(engine: EngineBase, base: str, run: Run, key: str) -> None:
    """Draw the part; see `components.take_home.panel.Part`."""
    with st.spinner(say("Asking the network about every version…")):
        rows = _rows(engine, run)
    place = st.container()
    made = _maker(engine, base, run, key)
    over = made if made and made.over and len(made) > 1 else None
    with place:
        _answers(run, rows, over, _rows(engine, over) if over else None)
    _networks(engine, [run, over] if over else [run])


def _rows(engine: EngineBase, run: Run) -> list[Row]:
    return kept(("survives", run.id, len(run)), lambda: corrupted_answers(engine, run))


def _answers(run: Run, rows: Sequence[Row], made: Run | None, again: Sequence[Row] | None) -> None:
    """Show what the network says after each corruption: of the clean picture, of noise, of the run's picture
    and, where there is one, of the version ``made`` to survive."""
    head = [say("Afterwards"), say("the clean picture"), say("noise of the same size"), say("this picture")]
    lines = [[_after(row), *_judged(run, row.clean, row.noise, row.attacked)] for row in rows]
    lines.append([say("size of the change"), "0", _size(run), _size(run)])
    if made and again:
        head.append(say("made to survive"))
        shown = [*(_judged(run, row.attacked)[0] for row in again), _size(made)]
        lines = [[*line, cell] for line, cell in zip(lines, shown, strict=True)]
    table(head, lines, "survives")
    st.caption(" ".join([_count(run, rows, made, again), _noise_said(), _messenger(run)]))


def _after(row: Row) -> str:
    return say(row.corruption.title) if row.corruption else say("as computed")


def _judged(run: Run, *opinions: Prediction) -> list[Markup]:
    """Return what was said as cells: fooled is what is no longer the class of the clean picture."""
    original = run.labels[run.original]
    return [answer(one.label, one.probability, one.label != original) for one in opinions]


def _size(run: Run) -> Markup:
    """Return how large a run's change is, in two norms."""
    figures = run.figures(len(run) - 1)
    sizes = [f"{norm.name} {norm.facts.text(figures[norm.name] or 0.0)}" for norm in (LINF, L2)]
    return Markup("<br>").join(sizes)


def _count(run: Run, rows: Sequence[Row], made: Run | None, again: Sequence[Row] | None) -> str:
    """Return after how many corruptions the run's goal is still met."""
    facts = {"goal": _goal(run), "count": _meets(run, rows), "of": len(rows) - 1}
    if made is None or again is None:
        return say("{goal} after {count} of {of}.", **facts)
    return say(
        "{goal} after {count} of {of}, made to survive after {more}.", **facts, more=_meets(run, again)
    )


def _meets(run: Run, rows: Sequence[Row]) -> int:
    """Return after how many corruptions the network says the target, or, without one, something else."""
    original, target = run.labels[run.original], run.recipe.target
    said = [row.attacked.label for row in rows if row.corruption]
    return sum(label != original if target is None else label == run.labels[target] for label in said)


def _goal(run: Run) -> str:
    target = run.recipe.target
    if target is None:
        return say("No longer “{label}”", label=named(run.labels[run.original]))
    return say("Still “{label}”", label=named(run.labels[target]))


def _noise_said() -> str:
    return say(
        "Noise: every value is moved as far as in this picture, up or down at random (seed {seed}).",
        seed=NOISE_SEED,
    )


def _messenger(run: Run) -> str:
    side = run.start.shape[-1]
    if side >= MESSENGER_SIDE:
        return ""
    return say(
        "A messenger makes pictures of more than {most} pixels smaller; this one has {side}, so its JPEG of "
        "quality 80 is what is left to survive.",
        most=f"{MESSENGER_SIDE:,}",
        side=side,
    )


def _maker(engine: EngineBase, base: str, run: Run, key: str) -> Run | None:
    """Let the person have a version made that survives what is ticked; show its run, and return it."""
    names = [one.name for one in corruptions_for(len(run.start))]
    with st.form(f"{key}.form", border=False):
        ticked = st.pills(
            say("A version that survives"),
            names,
            selection_mode="multi",
            default=USUAL,
            format_func=lambda name: say(CORRUPTIONS[name].title),
            key=f"{key}.ticked",
        )
        epsilon = st.select_slider(
            say("Largest change of a value"),
            BUDGETS,
            USUAL_BUDGETS[len(run.start)],
            format_func=LINF.facts.text,
            key=f"{key}.epsilon",
        )
        pressed = st.form_submit_button(say("Make it"), icon=":material/shield:")
    if pressed:
        _start(engine, run, tuple(ticked), float(epsilon), key)
    return _made(engine, base, key)


def _start(engine: EngineBase, run: Run, names: tuple[str, ...], epsilon: float, key: str) -> None:
    """Start the run that is to survive ``names``; the one made before gives way."""
    try:
        recipe = survivor(run.recipe, names, epsilon)
        if before := _found(engine, key):
            engine.cancel(before)
        st.session_state[f"{key}.made"] = engine.submit(recipe, owner=owner()).id
    except FoolscopeError as error:
        st.error(told(error))


def _found(engine: EngineBase, key: str) -> Run | None:
    """Return the run that was made to survive; None where there is none, or the server forgot it."""
    try:
        return engine.run(st.session_state[f"{key}.made"]) if f"{key}.made" in st.session_state else None
    except UnknownName:
        del st.session_state[f"{key}.made"]
        return None


def _made(engine: EngineBase, base: str, key: str) -> Run | None:
    run = _found(engine, key)
    if run is None:
        return None
    # Its end makes the player answer, which runs this part of the page again: then the table has it.
    player(base=base, run=run.id, idle=None, key=f"{key}.player", beside=True, waiting=not run.over)
    address = urlencode(links.write(run.recipe, run.id) | preferences.query())
    st.markdown(f"[{say('Open this run in the playground')}](./?{address})")
    return run


def _networks(engine: EngineBase, runs: Sequence[Run]) -> None:
    """Show what every network that is here says of the clean picture and of the last one of each run."""
    st.markdown(f"#### {say('Which networks it fools')}")
    names = here(models.card(runs[0].recipe.model))
    with st.spinner(say("Asking every network…")):
        asked = [kept(("fools", run.id, len(run)), partial(transfers, engine, run)) for run in runs]
    head = [say("Network"), say("the clean picture"), say("this picture"), say("made to survive")]
    table(head[: 2 + len(runs)], [_asked(*row) for row in zip(names, *asked, strict=True)], "networks")
    if len({models.card(name).size for name in names}) > 1:
        st.caption(say("Pictures are resized where a network takes another size."))


def _asked(name: str, *found: Transfer | FoolscopeError) -> list[str]:
    """Return what one network says of the clean picture and of that of each run, or why it cannot say it."""
    title, first = models.card(name).title, found[0]
    if isinstance(first, FoolscopeError):
        return [title, told(first), *("" for _ in found)]
    own = Markup("{}<br><small>{}</small>").format(title, say("attacked"))
    clean = answer(first.before.label, first.before.probability)
    return [own if first.attacked else title, clean, *map(_after_attack, found)]


def _after_attack(found: Transfer | FoolscopeError) -> str:
    if isinstance(found, FoolscopeError):
        return told(found)
    return answer(found.after.label, found.after.probability, found.fooled)
