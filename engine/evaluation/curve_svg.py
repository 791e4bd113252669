"""Robustness curves as inline SVG, in colours that the page's style sets (`engine.sharing.report_style`)."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from engine.evaluation.summary import Line
from engine.intervals import Estimate
from engine.sharing.curve import spread
from engine.sharing.voice import Voice

WIDTH, HEIGHT = 760, 280
LEFT, RIGHT, TOP, BOTTOM = 64, 200, 12, 44
COLOURS = ("goal", "n0", "n1", "n2", "original")


def chart(lines: Sequence[Line], names: Sequence[str], voice: Voice) -> Markup:
    """Return the curves as one ``<svg>``, each with its ``name`` at its end and a bar for each interval."""
    most = max(group.epsilon or 0.0 for line in lines for group in line.groups) or 1.0
    drawn = [_line(line, i, most) for i, line in enumerate(lines)]
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>'
    ).format(
        WIDTH,
        HEIGHT,
        voice.say("What withstands, by budget"),
        _axes(most, voice),
        Markup("").join(drawn),
        _names(lines, names),
    )  # fmt: skip


def _x(epsilon: float, most: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * epsilon / most


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _points(line: Line) -> list[tuple[float, Estimate]]:
    return [(group.epsilon or 0.0, group.held) for group in line.groups if group.held is not None]


def _line(line: Line, place: int, most: float) -> Markup:
    """Return one curve; its bars stand a little beside those of the others."""
    points, colour, aside = _points(line), COLOURS[place % len(COLOURS)], 3 * place
    path = " ".join(f"{_x(epsilon, most):.1f},{_y(held.value):.1f}" for epsilon, held in points)
    bars = [
        Markup('<polyline class="bar {}" points="{x:.1f},{:.1f} {x:.1f},{:.1f}"/>').format(
            colour,
            _y(held.low or 0.0),
            _y(1.0 if held.high is None else held.high),
            x=_x(epsilon, most) + aside,
        )
        for epsilon, held in points
    ]
    return Markup('<polyline class="{}" points="{}"/>').format(colour, path) + Markup("").join(bars)


def _axes(most: float, voice: Voice) -> Markup:
    parts = [
        Markup(
            '<path class="grid" d="M{} {:.1f}H{}"/><text class="tick" x="{}" y="{:.1f}">{} %</text>'
        ).format(LEFT, _y(share), WIDTH - RIGHT, LEFT - 8, _y(share) + 4, round(100 * share))
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    places = [(0.0, "0"), (most / 2, f"{most / 2:.3g}"), (most, f"{most:.3g}")]
    parts += [
        Markup('<text class="step" x="{:.0f}" y="{}">{}</text>').format(_x(place, most), HEIGHT - 26, text)
        for place, text in places
    ]
    middle = _x(most / 2, most)
    parts += [
        Markup('<text class="step" x="{:.0f}" y="{}">{}</text>').format(
            middle, HEIGHT - 6, voice.say("budget ε, on the scale of [0, 1]")
        )
    ]
    return Markup("").join(parts)


def _names(lines: Sequence[Line], names: Sequence[str]) -> Markup:
    ends = [_y(_points(line)[-1][1].value) for line in lines]
    places = spread(ends, 17, TOP, HEIGHT - BOTTOM)
    return Markup("").join(
        Markup('<text class="name {}" x="{}" y="{:.1f}">{}</text>').format(
            COLOURS[i % len(COLOURS)], WIDTH - RIGHT + 10, y + 4, name if len(name) < 28 else f"{name[:26]}…"
        )
        for i, (name, y) in enumerate(zip(names, places, strict=True))
    )
