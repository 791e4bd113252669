"""An evaluation as one page of HTML: summary, curves, and every picture before, added and after."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlencode

from markupsafe import Markup

import attacks
import models
from attacks.toolkit import norms
from engine import links
from engine.evaluation import curve_svg
from engine.evaluation.journal import THUMBNAILS
from engine.evaluation.leaving import stem
from engine.evaluation.planning import Setup
from engine.evaluation.record import Row
from engine.evaluation.summary import Group, lines
from engine.intervals import Estimate
from engine.recipe import Recipe
from engine.sharing.report_style import STYLE
from engine.sharing.voice import ENGLISH, Voice, percent

MOST = 1000
"""Pictures shown at most: the page holds them all."""
OWN_STYLE = """
main { max-width: 80rem; } .wide { overflow-x: auto; } .wide table { white-space: nowrap; }
.wide th, .wide td { padding: .4rem 1rem .4rem 0; text-align: right; vertical-align: middle; }
.wide th:nth-child(-n+2), .wide td:nth-child(-n+2), .wide .text { text-align: left; }
svg { max-width: 46rem; }
.wide td small { color: var(--quiet); display: block; } .bar { stroke-width: 1; opacity: .6; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid var(--link); }
th[aria-sort=ascending] button::after { content: " ↑"; }
th[aria-sort=descending] button::after { content: " ↓"; }
img.strip { width: 13.5rem; min-width: 13.5rem; } .error { white-space: normal; text-align: left !important; }
"""
SCRIPT = """
for (const button of document.querySelectorAll("th button")) button.onclick = () => {
  const head = button.parentElement, table = head.closest("table"), at = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = (row) => row.cells[at].dataset.value ?? "";
  const rows = [...table.tBodies[0].rows].sort((one, two) => {
    const a = value(one), b = value(two);
    if (a === "" || b === "") return (a === "") - (b === "");
    const by = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
    return down ? -by : by;
  });
  table.tBodies[0].append(...rows);
};
"""
PAGE = Markup(
    """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><p class="quiet">Foolscope</p><h1>{title}</h1><p class="quiet">{about}</p></header>
<section><h2>{summary_title}</h2><div class="wide" tabindex="0">{summary}</div><p class="quiet">{how}</p></section>
{curve}
<section><h2>{pictures_title}</h2><p class="quiet">{opening}</p><div class="wide" tabindex="0">{pictures}</div></section>
</main>
<script>{script}</script>
</body>
</html>
"""  # noqa: E501
)
COARSE = 64
"""Pictures of networks that see fewer pixels a side are shown pixel by pixel."""
NUMBERS = (4, 7, 8, 9, 10)
"""The columns of the pictures' table that hold numbers."""
HOW = (
    "95 % intervals in brackets: Clopper-Pearson for shares, order statistics for medians. Sizes are "
    "medians over the pictures that fool, on the scale of [0, 1]."
)
OPENING = (
    "Original, what was added (amplified), and the last picture. A link opens a sample in the page; any "
    "other picture is a file that carries its recipe: drop it into the page."
)


def page(
    folder: Path, rows: Sequence[Row], several: Sequence[Group], setups: Sequence[Setup], *, at: str,
    samples: frozenset[str] = frozenset(), voice: Voice = ENGLISH,
) -> str:  # fmt: skip
    """Return the page of an evaluation in ``folder``.

    ``at``: the address of the playground; ``samples``: the files that it knows by name; ``voice``: in which
    language it is.
    """
    say, failed = voice.say, sum(not row.attacked for row in rows)
    names = {row.file for row in rows}
    about = say("{pictures} pictures, {rows} rows", pictures=f"{len(names):,}", rows=f"{len(rows):,}")
    about += f", {say('{count} without figures', count=failed)}" if failed else ""
    showing = Showing(
        partial(_strip, folder), partial(_link, at=at, setups=setups, samples=samples), sortable=True
    )
    return PAGE.format(
        language={"zh": "zh-Hans"}.get(voice.language, voice.language),
        title=say("Evaluation"),
        style=Markup(STYLE + OWN_STYLE),
        about=about,
        summary_title=say("Summary"),
        summary=summary_table(several, voice),
        how=say(HOW),
        curve=_curve(several, voice),
        pictures_title=say("Pictures"),
        opening=say(OPENING) + _cut(rows, voice),
        pictures=rows_table(rows[:MOST], showing, voice),
        script=Markup(SCRIPT),
    )


@dataclass(frozen=True)
class Showing:
    """How rows are shown. ``strip``: the address of a row's thumbnails, "" for none; ``link``: where a row's
    picture opens, "" for nowhere; ``sortable``: whether a press on a column sorts."""

    strip: Callable[[Row], str]
    link: Callable[[Row], str]
    sortable: bool = False


def recipe_of(row: Row, setups: Sequence[Setup], image: str) -> Recipe | None:
    """Return the recipe of a row's run on ``image``, None where nothing was run."""
    known = {setup.key(row.file): setup for setup in setups}
    if row.key not in known or not row.attacked or row.epsilon == 0:
        return None
    labels = models.card(row.model).labels
    target = None if row.target is None else labels.index(row.target)
    return replace(known[row.key].recipe, image=image, target=target)


def _link(row: Row, at: str, setups: Sequence[Setup], samples: frozenset[str]) -> str:
    """Return the address that opens a sample in the playground ``at``, or that of another picture's file."""
    recipe = recipe_of(row, setups, row.file) if row.file in samples else None
    if recipe is None:
        return quote(row.picture or "")
    return f"{at}?{urlencode(links.write(recipe), quote_via=quote)}"


def _strip(folder: Path, row: Row) -> str:
    """Return the row's thumbnails as an address that holds them."""
    path = folder / THUMBNAILS / f"{stem(row.key)}.png"
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" if path.exists() else ""


def _cut(rows: Sequence[Row], voice: Voice) -> str:
    if len(rows) <= MOST:
        return ""
    return " " + voice.say("The first {most} rows are shown; all are in the table.", most=f"{MOST:,}")


def _curve(several: Sequence[Group], voice: Voice) -> Markup:
    curves = lines(several)
    if not curves:
        return Markup("")
    return Markup("<section><h2>{}</h2>{}</section>").format(
        voice.say("What withstands, by budget"), curve_svg.chart(curves, line_names(several), voice)
    )


def line_names(several: Sequence[Group]) -> list[str]:
    """Return what the curves of these groups are called: by what tells them apart."""
    curves = lines(several)
    networks = {line.model for line in curves}
    tried = {line.attack for line in curves}
    return [
        " · ".join(
            part
            for part, wanted in (
                (attacks.get(line.attack).card.title, len(tried) > 1 or len(networks) == 1),
                (models.card(line.model).title, len(networks) > 1),
            )
            if wanted
        )
        for line in curves
    ]


def summary_table(several: Sequence[Group], voice: Voice = ENGLISH) -> Markup:
    """Return the summary as a table, a row for each group."""
    say = voice.say
    head = ["Network", "Attack", "Budget", "Pictures", "Clean accuracy", "Robust accuracy"]
    head += ["Fooled, of those named rightly", "Fooled, of all", "Median size", "Median queries", "Seconds"]
    cells = [
        [
            models.card(group.model).title,
            say(attacks.get(group.attack).card.title),
            budget(group),
            f"{group.pictures:,}" + (f" ({say('{n} failed', n=group.failed)})" if group.failed else ""),
            *map(_share, _shares(group)),
            _size(group),
            _figure(group.queries),
            f"{group.seconds:,.1f}",
        ]
        for group in several
    ]  # fmt: skip
    return _table([say(word) for word in head], cells)


def _shares(group: Group) -> tuple[Estimate | None, ...]:
    return group.clean_accuracy, group.robust_accuracy, group.success_of_correct, group.success


def budget(group: Group) -> str:
    """Return an attack's budget in words, such as "linf 0.0314"."""
    if group.epsilon is None:
        return "–"
    return f"{group.norm} {written(group.norm, group.epsilon)}" if group.norm else f"{group.epsilon:.4g}"


def written(norm: str | None, size: float | None) -> str:
    """Return a size as the norm writes it, such as 4/255, "–" for none."""
    if size is None:
        return "–"
    return norms.get(norm).facts.text(size) if norm in norms.NORMS else f"{size:.4g}"


def _share(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    text = percent(estimate.value)
    return text if estimate.low is None or estimate.high is None else (
        f"{text} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f})"
    )  # fmt: skip


def _size(group: Group) -> str:
    """Return the median size as its norm writes it, named where the budget does not name it."""
    estimate, norm = group.size, group.measured_by
    if estimate is None:
        return "–"
    text = written(norm, estimate.value)
    if estimate.low is not None:
        text += f" ({written(norm, estimate.low)}–{written(norm, estimate.high)})"
    return text if group.epsilon is not None else f"{norm} {text}"


def _figure(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    text = f"{estimate.value:.3g}"
    return text if estimate.low is None else f"{text} ({estimate.low:.3g}–{estimate.high:.3g})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    top = Markup("").join(Markup('<th scope="col">{}</th>').format(word) for word in head)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(top, body)


def rows_table(rows: Sequence[Row], showing: Showing, voice: Voice = ENGLISH) -> Markup:
    """Return a table of rows with their pictures."""
    head = [
        "Picture",
        "File",
        "Network",
        "Attack",
        "Budget",
        "Before",
        "After",
        "linf",
        "l2",
        "Steps",
        "Queries",
    ]
    top = Markup("").join(
        Markup('<th scope="col" class="{}">{}</th>').format(
            "" if place in NUMBERS else "text",
            Markup('<button type="button">{}</button>').format(voice.say(word))
            if place and showing.sortable
            else voice.say(word),
        )
        for place, word in enumerate(head)
    )
    body = Markup("").join(_row(row, showing, voice) for row in rows)
    return Markup('<table class="sheet"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>').format(
        top, body
    )


def _row(row: Row, showing: Showing, voice: Voice) -> Markup:
    before = _answer(voice, row.clean_prediction, row.clean_probability)
    after = _answer(voice, row.final_label, row.final_probability)
    cells = [
        Markup("<td>{}</td>").format(_thumbnails(row, showing.strip(row), f"{before} → {after}")),
        _cell(row.file, _file(row, showing), "text file"),
        _cell(row.model, models.card(row.model).title, "text"),
        _cell(row.attack, voice.say(attacks.get(row.attack).card.title), "text"),
        _cell(row.epsilon, written(row.norm, row.epsilon)),
    ]
    if not row.attacked:
        cells.append(Markup('<td class="error" colspan="6">{}</td>').format(row.error))
    else:
        wrong = voice.say("is {label}", label=voice.named(row.label or "")) if row.correct is False else ""
        cells += [
            _cell(row.clean_prediction, Markup("{}<small>{}</small>").format(before, wrong), "text"),
            _cell(row.final_label, after, "text fooled" if row.success else "text"),
            *(_cell(size, f"{size or 0:.4g}") for size in (row.linf, row.l2)),
            *(_cell(count, f"{count or 0:,}") for count in (row.steps, row.queries)),
        ]
    return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def _answer(voice: Voice, label: str | None, probability: float | None) -> str:
    return "" if label is None else f"{voice.named(label)} {percent(probability or 0.0)}"


def _cell(value: object, shown: str, style: str = "") -> Markup:
    plain = "" if value is None else value
    return Markup('<td data-value="{}" class="{}">{}</td>').format(plain, style, shown)


def _file(row: Row, showing: Showing) -> Markup:
    link = showing.link(row)
    shown = row.file.encode("utf-8", "backslashreplace").decode()
    if not link:
        return Markup("{}").format(shown)
    save = Markup(" download") if link.endswith(".png") else Markup("")
    return Markup('<a href="{}"{}>{}</a>').format(link, save, shown)


def _thumbnails(row: Row, source: str, words: str) -> Markup:
    if not source:
        return Markup("")
    coarse = " coarse" if models.card(row.model).size < COARSE else ""
    return Markup('<img class="strip{}" src="{}" alt="{}">').format(coarse, source, words)
