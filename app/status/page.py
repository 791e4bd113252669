"""The page on which a server's owner sees how it is: plain HTML, which needs nothing that may be broken."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from app.rooms.pages import colours
from app.sockets import open_sockets
from app.status.readiness import Part
from components.i18n.text import say_in, told
from engine.base import EngineBase
from engine.metrics import Metrics
from engine.standing import Standing, standing
from settings import ASSETS

PAGE = Markup("""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="5">
<title>{title}</title>
<style>:root {{ color-scheme: light dark; {colours} }}
{style}</style>
</head>
<body><main>
<h1>{title}</h1>
<p class="{kind}" role="status">{verdict}</p>
{sections}
<p class="quiet">{age}</p>
</main></body>
</html>
""")
SECTION = Markup("<section><h2>{title}</h2>{content}</section>\n")
MB = 10**6


class Words:
    """Says phrases in one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def say(self, phrase: str, **facts: object) -> str:
        """Return a phrase in that language."""
        return say_in(self.language, phrase, **facts)


def page(engine: EngineBase, parts: Sequence[Part], language: str) -> str:
    """Return the page as HTML."""
    words, state = Words(language), standing(engine)
    well = all(part.ready for part in parts)
    sections = {
        words.say("What must be ready"): _parts(words, parts),
        words.say("Runs that are not over"): _runs(words, state, engine.metrics),
        words.say("Networks"): _networks(words, state, engine.metrics),
        words.say("Connections"): _sockets(words),
        words.say("Database"): _database(words, state, engine),
    }
    return str(
        PAGE.format(
            language=language,
            title=words.say("This server"),
            colours=Markup(colours()),
            style=Markup((ASSETS / "status.css").read_text(encoding="utf-8")),
            kind="well" if well else "ill",
            verdict=words.say("It is ready.") if well else words.say("It is not ready."),
            sections=Markup().join(SECTION.format(title=t, content=c) for t, c in sections.items()),
            age=_age(words, engine.metrics),
        )
    )


def _parts(words: Words, parts: Iterable[Part]) -> Markup:
    names = {"loop": words.say("Engine"), "database": words.say("Database"), "model": words.say("Network")}
    good = words.say("ready")
    return _list(
        {names[part.name]: told(part.error, words.language) if part.error else good for part in parts}
    )


def _runs(words: Words, state: Standing, metrics: Metrics) -> Markup:
    began = sum(metrics.totals("foolscope_queue_wait_seconds_count").values())
    waited = sum(metrics.totals("foolscope_queue_wait_seconds_sum").values())
    failures = metrics.totals("foolscope_failures_total")
    return _list(
        {
            words.say("Running"): state.running,
            words.say("Paused"): state.paused,
            words.say("In the queue"): state.queue,
            words.say("Mean wait"): words.say("{seconds} s", seconds=f"{waited / began:.1f}")
            if began
            else "–",
            words.say("Failed by a fault"): int(failures.get("fault", 0)),
        }
    )


def _networks(words: Words, state: Standing, metrics: Metrics) -> Markup:
    """Return a row for each network that is in memory or has answered."""
    steps = metrics.totals("foolscope_steps_total")
    rows, batches = (metrics.totals(f"foolscope_batch_rows_{part}") for part in ("sum", "count"))
    seconds = metrics.totals("foolscope_batch_seconds_sum")
    head = (
        words.say("Network"),
        words.say("MB in memory"),
        words.say("Steps"),
        words.say("Images a batch"),
        words.say("ms a batch"),
    )
    body = [
        (
            name,
            f"{state.models[name] / MB:.1f}" if name in state.models else "–",
            f"{steps.get(name, 0):.0f}",
            f"{rows[name] / batches[name]:.1f}" if batches.get(name) else "–",
            f"{1000 * seconds[name] / batches[name]:.1f}" if batches.get(name) else "–",
        )
        for name in sorted({*state.models, *steps})
    ]
    device = words.say("On {device}.", device=state.device)
    if not body:
        return Markup('<p class="quiet">{}</p>').format(device)
    return Markup('<p class="quiet">{}</p>').format(device) + _table(head, body)


def _sockets(words: Words) -> Markup:
    counts = open_sockets()
    return _list(
        {
            words.say("Pages"): counts.page,
            words.say("Runs that are followed"): counts.run,
            words.say("Pages of rooms"): counts.room,
        }
    )


def _database(words: Words, state: Standing, engine: EngineBase) -> Markup:
    facts = _list(
        {
            words.say("File or name"): engine.history.database.file,
            words.say("Runs to be written"): state.pending,
            words.say("Writes that failed"): state.failures,
        }
    )
    return facts + Markup().join(
        Markup('<p class="ill">{}</p>').format(told(error, words.language)) for error in state.problems
    )


def _age(words: Words, metrics: Metrics) -> str:
    """Return for how long the server has run and what memory it takes, as far as the system says so."""
    started = metrics.totals("process_start_time_seconds").get("")
    memory = metrics.totals("process_resident_memory_bytes").get("")
    if started is None or memory is None:
        return words.say("Process {id}.", id=os.getpid())
    minutes = int((time.time() - started) / 60)
    return words.say(
        "Process {id}, running for {minutes} min, with {memory} MB of memory.",
        id=os.getpid(),
        minutes=minutes,
        memory=f"{memory / MB:.0f}",
    )


def _list(facts: Mapping[str, object]) -> Markup:
    rows = Markup().join(Markup("<dt>{}</dt><dd>{}</dd>").format(name, fact) for name, fact in facts.items())
    return Markup("<dl>{}</dl>").format(rows)


def _table(head: Sequence[str], body: Iterable[Sequence[object]]) -> Markup:
    top = Markup().join(Markup('<th scope="col">{}</th>').format(cell) for cell in head)
    rows = Markup().join(
        Markup("<tr>{}</tr>").format(
            Markup('<th scope="row">{}</th>').format(row[0])
            + Markup().join(Markup("<td>{}</td>").format(escape(cell)) for cell in row[1:])
        )
        for row in body
    )
    return Markup(
        '<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(top, rows)
