"""What chapter 4 shows: a gradient as a picture, its straight line, and what steps along it do."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import streamlit as st
from scipy.special import softmax

from components.display import charts, comparison_table, image_views
from components.display.probability_bars import odds, percent
from components.i18n import preferences
from components.i18n.text import named, say
from components.widgets import class_picker
from components.widgets.image_picker import Subject
from engine.base import EngineBase
from engine.run import Floats
from experiments.methods import first_order
from experiments.methods.first_order import Line, Slope
from models.core import Card

GAIN = 50
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def gradient_class_picker(engine: EngineBase, playing: Subject) -> int:
    """Let the reader choose whose probability is differentiated; at first it is the network's answer."""
    ranking = engine.classify(playing.model, playing.image)
    names = {
        answer.index: class_picker.title(answer.label, say("gradient of {label}", label=named(answer.label)))
        for answer in ranking
    }
    key = f"gradient.class.{playing.model}.{playing.image}"
    words = say("Of which class?")
    preferences.keep(key, ranking[0].index)
    chosen = st.selectbox(
        words, list(names), format_func=names.__getitem__, key=key, width=320, label_visibility="collapsed"
    )
    return int(chosen)


def gradient(at: Slope) -> None:
    """Show the gradient on grey, divided by the 98th percentile of its sizes."""
    top = at.percentile
    words = say("grey: 0; black and white: ±{top} a grey level (98 % are smaller)", top=_power(top))
    alt = say("The gradient as a picture: every pixel as bright as a change of it is worth")
    image_views.picture(0.5 + at.grad / (2 * top or 1), alt, words)


def _power(value: float) -> str:
    """Return ``value`` as people write it: 3.1·10⁻⁵."""
    if not value:
        return "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}·10{str(int(exponent)).translate(RAISED)}"


def lines(by_quantity: Mapping[str, Line], label: str) -> None:
    """Draw a quantity along the sign of the gradient: as the straight line has it, and as it is."""
    names = {"probability": say("probability"), "loss": say("loss, −ln p")}
    kind = str(
        st.segmented_control(
            say("Which L?"), list(names), format_func=names.__getitem__, default="probability",
            required=True, key="gradient.kind", label_visibility="collapsed",
        )
    )  # fmt: skip
    line = by_quantity[kind]
    series = [
        charts.Series(say("as it is"), line.levels, line.actual, colour=1),
        charts.Series(say("straight line"), line.levels, line.predicted, dash="dash", colour=0),
    ]
    axes = say("step along the gradient's signs, in grey levels"), f"{names[kind]} · {named(label)}"
    charts.lines(
        series, *axes, alt=_parting(line), key=f"gradient.{kind}", percent=kind == "probability",
        marker=[at for at in line.parts() if at is not None], height=260, room=100,
    )  # fmt: skip


def _parting(line: Line) -> str:
    share = f"{100 * first_order.SHARE:.0f} %"
    back, on = (f"{abs(at):.2g}" if at is not None else f"> {first_order.REACH:g}" for at in line.parts())
    return say(
        "They part (dotted): off by more than {share} of what the line predicts from {back} grey levels "
        "back and {on} on.",
        share=share, back=back, on=on,
    )  # fmt: skip


def example() -> None:
    """Work the article's example out, and try all the other signs."""
    grad, step = first_order.EXAMPLE_GRADIENT, first_order.EXAMPLE_STEP
    best, most = first_order.best_signs(grad)
    rows = [
        [say("gradient"), *map(_number, grad), ""],
        [say("step δ"), *(f"{d:+d}".replace("-", "−") for d in step), ""],
        [say("product"), *(_number(d * g) for d, g in zip(step, grad, strict=True)), ""],
    ]
    rows[2][-1] = f"**δ·∇ = {_number(first_order.product(step, grad))}**"
    head = "| |" + " |" * len(grad) + " |\n|---|" + "--:|" * len(grad) + "---|\n"
    st.markdown(head + "\n".join("| " + " | ".join(row) + " |" for row in rows))
    comparison_table.claims(
        {
            say("δ·∇ is {value}, as the article has it.", value=_number(0.08)): math.isclose(
                first_order.product(step, grad), 0.08
            ),
            say("Of the {count} ways to choose five signs none has more than δ = sign(∇).", count=2**5): (
                best == step and math.isclose(most, sum(map(abs, grad)))
            ),
        }
    )


def _number(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def step_controls() -> tuple[float, int]:
    """Let the reader choose how large the step is, in grey levels, and its sign."""
    left, right = st.columns(2, gap="large", vertical_alignment="bottom")
    with left:
        size = st.slider(say("Step size, in grey levels"), 0.1, 2.0, 0.9, 0.1, key="gradient.size")
    with right:
        names = {1: say("along: + sign(∇)"), -1: say("against: − sign(∇)")}
        sign = st.segmented_control(
            say("Which way"), list(names), format_func=names.__getitem__, default=-1, required=True,
            key="gradient.sign",
        )  # fmt: skip
    return float(size), int(sign or 1)


def tries(engine: EngineBase, playing: Subject, at: Slope, size: float) -> dict[float, Floats]:
    """Return the probabilities ``(classes,)`` after a step of ``size``, of ``-size``, and (under 0) of
    ``size`` with every sign thrown by a coin."""
    x, sign = image_views.see(engine, playing), np.sign(at.grad)
    both = first_order.moved(x, sign, [size, -size])
    chance = first_order.moved(x, first_order.coin(sign.shape), [size])
    logits = engine.answers(playing.model, np.concatenate([both, chance]))
    return dict(zip((size, -size, 0.0), softmax(logits.astype(np.float64), axis=1), strict=True))


def taken(x: Floats, card: Card, at: Slope, tried: Mapping[float, Floats], size: float) -> None:
    """Show the picture after a step of ``size`` along the gradient's signs, and what the network says."""
    p, label = tried[size], card.labels[at.index]
    after = first_order.moved(x, np.sign(at.grad), [size])[0]
    left, right = st.columns(2, gap="medium", vertical_alignment="center")
    with left, image_views.row("step"):
        image_views.picture(after, say("The picture after the step"), say("after the step"))
        image_views.change(after - x, GAIN, say("the change, {gain} times enlarged", gain=GAIN))
    with right:
        words = say("{label}: {before} → {after}", label=named(label), before="{before}", after="{after}")
        st.markdown(f"**{words}**".format(before=percent(at.probability), after=percent(float(p[at.index]))))
        odds([(card.labels[i], float(p[i])) for i in np.argsort(-p)[:5]], label)


def puzzle(at: Slope, tried: Mapping[float, Floats], size: float) -> None:
    """Show both signs and chance beside each other: predicted and actual probability, and the loss."""
    rise = at.steepness * size
    chance = float((first_order.coin(at.grad.shape) * at.grad).sum()) * size
    rows = [(say("no step"), 0.0, at.probability)]
    rows += [
        (name, predicted, float(tried[key][at.index]))
        for name, predicted, key in (
            (say("+ sign(∇p)"), rise, size),
            (say("− sign(∇p)"), -rise, -size),
            (say("signs by a coin"), chance, 0.0),
        )
    ]
    head = [say("Step"), say("δ·∇p, predicted"), say("change of p"), "p", "−ln p"]
    comparison_table.beside(head, [_row(name, predicted, p, at.probability) for name, predicted, p in rows])


def _row(name: str, predicted: float, p: float, start: float) -> list[str | comparison_table.Cell]:
    cells = [
        (predicted, 100, " %"),
        (p - start, 100, " %"),
        (p, 100, " %"),
        (-math.log(max(p, 1e-300)), 1, ""),
    ]
    return [name, *(comparison_table.Cell(v, scale=scale, unit=unit) for v, scale, unit in cells)]


def logs(probability: float) -> None:
    """Show both logarithms of the article's probability and of this picture's."""
    head = ["p", "−ln p", "−log₁₀ p"]
    rows: list[list[str | comparison_table.Cell]] = [
        [name, comparison_table.Cell(-math.log(p)), comparison_table.Cell(-math.log10(p))]
        for name, p in (
            (say("the article's panda, {share}", share="99.57 %"), first_order.PUZZLE),
            (say("this picture, {share}", share=percent(probability)), max(probability, 1e-300)),
        )
    ]
    comparison_table.beside(head, rows)
    comparison_table.claims(
        {
            say("The article's .0018 is −log₁₀, cut after four digits; −ln gives {ln}.",
                ln=f"{-math.log(first_order.PUZZLE):.4f}"): (
                math.floor(-math.log10(first_order.PUZZLE) * 1e4) / 1e4 == 0.0018
            )
        }
    )  # fmt: skip
