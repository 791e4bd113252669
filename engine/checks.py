"""What is worth knowing about a run: what was seen, what it means, and where to read on.

After the checks of AutoAttack (https://github.com/fra31/auto-attack) and Carlini et al., On Evaluating
Adversarial Robustness (https://arxiv.org/abs/1902.06705): a run that looks odd teaches more than one
that looks well, but only to those who are told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import attacks
from attacks.toolkit.norms import LINF, NORMS
from engine.run import SCALARS, Run
from engine.sentences import Said

EVALUATING = "https://arxiv.org/abs/1902.06705"
MASKING = "https://arxiv.org/abs/1802.00420"
ENSEMBLE = "https://arxiv.org/abs/2003.01690"
ABSURD_LINF = 0.5


@dataclass(frozen=True)
class Finding:
    """``name``: of the check. ``said``: what was measured, as a template and its facts. ``means``: what
    follows. ``url``: a source."""

    name: str
    said: Said
    means: str
    url: str

    @property
    def seen(self) -> str:
        """Return what was measured."""
        template, facts = self.said
        return template.format(**facts)

    def plain(self) -> dict[str, str]:
        """Return the finding in English."""
        return {"name": self.name, "seen": self.seen, "means": self.means, "url": self.url}


def findings(run: Run) -> list[Finding]:
    """Return what is worth knowing about ``run`` as far as it has come, the gravest first."""
    return [finding for check in CHECKS if (finding := check(run)) is not None] if len(run) else []


def zero_gradient(run: Run) -> Finding | None:
    """The gradient vanished: no step that follows it can move."""
    lengths = run.scalars(0, len(run))[:, SCALARS.index("grad_norm")]
    zero = np.flatnonzero(lengths < 1e-12)  # NaN, where none was asked for, compares as False
    if not len(zero):
        return None
    facts = {"zero": len(zero), "asked": int(np.isfinite(lengths).sum()), "first": int(zero[0])}
    return Finding(
        "zero gradient",
        ("The gradient was zero at {zero} of {asked} steps, first at step {first}.", facts),
        "Steps that follow the gradient cannot move there. It does not mean that the network is robust: try "
        "a loss on the logits (APGD with DLR, Carlini-Wagner) or an attack that needs no gradient (Square).",
        MASKING,
    )


def saturated_softmax(run: Run) -> Finding | None:
    """The network is so sure that float32 hardly holds the slope of its cross-entropy."""
    log_p = float(run.log_p(0, 1, [run.original])[0, 0])
    if run.targeted or log_p < -2e-7:
        return None
    facts = {"label": run.labels[run.original], "percent": f"{100 * np.exp(log_p):.5f}"}
    return Finding(
        "saturated softmax",
        ("The untouched picture is {label} with {percent} %.", facts),
        "At such certainty the slope of the cross-entropy is almost nothing, and what is left is rounding. A "
        "loss on the logits, or a target, does not have that trouble.",
        ENSEMBLE,
    )


def absurd_budget(run: Run) -> Finding | None:
    """The budget is so large that success says nothing."""
    norm, epsilon = run.recipe.build().bound() or (LINF.name, 0.0)
    if norm not in NORMS or epsilon <= NORMS[norm].facts.visible:
        return None
    sentence: Said = ("The picture may move by {size} ({norm}).", {"size": f"{epsilon:.3g}", "norm": norm})
    if norm == LINF.name:
        sentence = ("The picture may move by {levels}/255 per value.", {"levels": f"{255 * epsilon:.3g}"})
    enough = norm == LINF.name and epsilon >= ABSURD_LINF
    means = (
        "Within that distance every picture can become plain grey, so any network can be fooled."
        if enough
        else "A person sees such a change, so a network that is fooled by it is not to blame alone."
    )
    return Finding("large budget", sentence, means, EVALUATING)


def randomised(run: Run) -> Finding | None:
    """The network answered the same picture differently."""
    row = run.log_p(0, 1)[0]
    again = run.answers_again
    if again is None or np.abs(np.exp(row) - np.exp(again)).max() < 1e-3:
        return None
    return Finding(
        "randomised network",
        ("Asked twice about the untouched picture, the network gave two answers.", {}),
        "Its gradient is noisy too: average it over several draws (EOT-PGD), and judge success over many "
        "tries, not one.",
        MASKING,
    )


def dead_end(run: Run) -> Finding | None:
    """The attack could not change anything any more."""
    if run.dead_end is None:
        return None
    return Finding(
        "dead end",
        ("At step {last} the attack had nothing left to change.", {"last": len(run) - 1}),
        attacks.get(run.recipe.attack).dead_ends[run.dead_end],
        EVALUATING,
    )


def unchanged(run: Run) -> Finding | None:
    """No step moved the picture, so that further steps of the kind would not either."""
    if not _in_vain(run) or not _motionless(run):
        return None
    return Finding(
        "unchanged picture",
        ("In {last} steps the picture did not change at all.", {"last": len(run) - 1}),
        "More steps of the same kind would not change it either: look at the budget, at the part that may "
        "change and at the gradient, or take another attack.",
        EVALUATING,
    )


def not_fooled(run: Run) -> Finding | None:
    """A run without success is no proof of anything."""
    last = len(run) - 1
    if not _in_vain(run) or run.dead_end or _motionless(run):
        return None
    return Finding(
        "not fooled",
        ("After {last} steps the network was not fooled.", {"last": last}),
        "That says more about this attack than about the network: more steps, another loss, another start, "
        "or a larger budget may succeed.",
        EVALUATING,
    )


CHECKS: Sequence[Callable[[Run], Finding | None]] = (
    randomised,
    zero_gradient,
    saturated_softmax,
    absurd_budget,
    dead_end,
    unchanged,
    not_fooled,
)


def _in_vain(run: Run) -> bool:
    """Say whether an attack that is no control has finished, after a step at least, without success."""
    last = len(run) - 1
    if run.status != "finished" or last < 1 or run.succeeded(last):
        return False
    return attacks.get(run.recipe.attack).card.access != "control"


def _motionless(run: Run) -> bool:
    """Say whether all steps asked about the untouched picture, for no reason that the attack gave."""
    moved = run.scalars(0, len(run))[:, SCALARS.index("linf")].any()
    return run.dead_end is None and not moved


def compare(runs: Sequence[Run]) -> list[Finding]:
    """Return what is worth knowing about runs of one picture, network and goal, side by side."""
    access = {run.id: attacks.get(run.recipe.attack).card.access for run in runs}
    ended = [run for run in runs if run.status == "finished" and len(run) > 1]
    best = {}
    for kind in ("white-box", "black-box"):
        own = [r for r in ended if (access[r.id] == "white-box") == (kind == "white-box")]
        own = [r for r in own if access[r.id] != "control"]
        best[kind] = max((r.scalars(len(r) - 1, len(r))[0, 0] for r in own), default=None)
    white, black = best["white-box"], best["black-box"]
    if white is None or black is None or white > 0 or black <= 0:
        return []
    return [
        Finding(
            "gradient masking",
            ("An attack without gradients fooled the network, and none that follows the gradient did.", {}),
            "More knowledge should not do worse: the gradient is probably hidden or useless, which looks "
            "like robustness and is not.",
            MASKING,
        )
    ]
