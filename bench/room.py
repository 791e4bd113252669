"""``python -m app bench room --people 300 --minutes 5 --out FILE``: a class at work, and what it does to the
server.

A real server in a process of its own, on the same cores; real sockets for everybody, and real pages in a
browser for some. Everything is drawn from a seed: what people run, how long they think, when a phone's screen
locks. What each receives is compared with what the server has, and every score is computed again here from
the very file that was judged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import plotly.graph_objects as go
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from playwright.async_api import Error as PlaywrightError
from plotly.subplots import make_subplots

import console
from bench.figures import machine
from bench.replicas import served
from bench.scores import HandedIn, handed_in, wrong
from bench.site import QUIET, Site, chromium, serve
from bench.students import Record, RefusedError, Server, Student, Teacher

THINK = 6.0
"""Seconds that somebody thinks between two runs, in the mean."""
LOCKED = 0.02
"""Share of frames after which a phone's screen locks."""
JOINING = 10.0
"""Seconds in which everybody joins."""
EVERY = 5.0
"""Seconds between two looks at the server's memory."""
NETWORKS = {"lenet": ("seven", "three"), "photos": ("panda", "cat", "dog", "coffee")}
"""What people attack: a digit network and the everyday one, and pictures of theirs."""
STEPS = (10, 20, 40)
"""Everybody runs each network with each of these numbers of steps, then all of them again, each time in an
order of their own: who happened to draw the quick network more often would seem to be served better."""
AT_ONCE = 30.0
"""Seconds between two presses of Run that count as at the same time."""
OVER = """seen => {
  const { run, status } = document.querySelector("[data-test=player]")?.dataset ?? {};
  return run && !seen.includes(run) && /finished|failed|cancelled/.test(status);
}"""
"""Whether a page shows the end of a run that was not seen before."""
RUNS_A_PAGE = 10
PATIENCE = 120_000.0
"""Milliseconds for which a page may take to do what is expected of it, beside the wait in the queue."""
LONGEST_WAIT = 600_000.0
"""Milliseconds until a page's run must be over, its wait in the queue included."""
COUNTED = ("runs", "finished", "fooled", "steps", "lost", "mixed", "doubled", "stuck", "cuts")
"""What is added up over all people."""
LONG = ("errors", "steps_by_second", "places_told", "waits_told", "turns")
"""What is written and not printed."""
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Wait:
    """A run in the queue. ``entered``: when it was taken on, ``since``, ``until``: when it was first told its
    place and when it began, all by the monotonic clock; ``place``: 1 for the next that begins, and
    ``expected``: seconds until then, as told."""

    entered: float
    since: float
    until: float
    place: int
    expected: float

    @property
    def waited(self) -> float:
        """Return how many seconds it waited."""
        return self.until - self.since


@dataclass
class Measured:
    """What is noted while the class is at work. ``memory``: by minute, MB of the server's processes;
    ``steps``: received by second since the beginning."""

    memory: list[list[float]] = field(default_factory=list)
    steps: dict[int, int] = field(default_factory=dict)
    queued: list[Wait] = field(default_factory=list)
    handed: list[HandedIn] = field(default_factory=list)


@dataclass(frozen=True)
class Turn:
    """A run that somebody made: on which network, how many ``steps``, when Run was pressed, by the monotonic
    clock, and how many seconds from then to its end."""

    model: str
    steps: int
    pressed: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """What is written. ``lost``, ``mixed``, ``doubled``: rows; ``stuck``: runs; ``wrong_scores``: of
    ``scores`` that were computed again. Waits in milliseconds between two rows of a run; ``fairness``: by
    network, the seconds a step, from the press of Run to the run's end, of the slowest quarter of people over
    those of the fastest, of whoever ran everything as often; None where those are few; ``fairness_of_all``:
    whatever they ran; ``fairness_at_once``: the same of what people's runs took over what runs alike took
    that others pressed for at about the same time, so that when somebody's runs fell into a rush does not
    count. ``place_within_20``: share of queued runs whose place was true within 20 %, or within one: so many
    of those that waited then began until it did; ``wait_within_20``: whose expected wait was, or within half
    of what it is rounded to. ``went_round``: people who ran everything once at least, of whom the
    fairness is. ``largest_room``: people who could all have a run going at one step a second each, which is
    the steps a second of the busiest minute. ``memory_mb``: the median of every minute; ``memory_drift``: the
    last minute's over the second's. ``turns``: the runs of each person, of which fairness is: network, steps,
    when Run was pressed in seconds from the beginning, seconds to its end."""

    people: int
    minutes: float
    seed: int
    pages: int
    runs: int
    finished: int
    fooled: int
    steps: int
    lost: int
    mixed: int
    doubled: int
    stuck: int
    cuts: int
    scores: int
    wrong_scores: int
    steps_per_second: float
    largest_room: int
    p95_wait_ms: float
    wait_ms: dict[str, dict[str, float]]
    fairness: dict[str, float | None]
    fairness_of_all: float | None
    fairness_at_once: float | None
    went_round: int
    queued: int
    places_told: list[tuple[int, int]]
    waits_told: list[tuple[float, float]]
    place_within_20: float | None
    wait_within_20: float | None
    steps_by_second: list[int]
    turns: list[list[tuple[str, int, float, float]]]
    memory_mb: list[float]
    memory_drift: float | None
    refused: dict[str, int]
    errors: list[str]
    page_runs: int
    page_errors: list[str]
    about: dict[str, Any]


@dataclass
class Pages:
    """What real pages did: their runs, and what went wrong on them."""

    runs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Person(Student):
    """A student who notes when rows came, and how true the queue's word was."""

    def __init__(self, server: Server, code: str, name: str, measured: Measured, began: float) -> None:
        super().__init__(server, code, name)
        self.measured, self._began = measured, began
        self._queued: tuple[float, int, float] | None = None
        self._begun, self.entered = "", 0.0
        self._deck: list[tuple[str, int]] = []
        self.turns: list[Turn] = []

    def draw(self, chance: random.Random) -> tuple[str, int]:
        """Return the network and the steps of the next run."""
        if not self._deck:
            self._deck = [(model, steps) for model in NETWORKS for steps in STEPS]
            chance.shuffle(self._deck)
        return self._deck.pop()

    async def start(self, query: Mapping[str, str], broadcast: int = 0) -> str:
        """Press Run; return the run's id."""
        run = await super().start(query, broadcast)
        self.entered = time.monotonic()
        return run

    def _told(self, message: dict[str, Any], run: str, received: Any) -> bool:
        wait, now = message.get("wait"), time.monotonic()
        if message.get("status") == "waiting" and wait is not None and run != self._begun:
            self._queued = self._queued or (now, int(message["place"]), float(wait))
        elif message.get("status") not in (None, "waiting") and run != self._begun:
            self._begun = run
            if self._queued:
                since, place, expected = self._queued
                self.measured.queued.append(Wait(self.entered, since, now, place, expected))
            self._queued = None
        return super()._told(message, run, received)

    def note_steps(self, before: int, model: str, pressed: float) -> None:
        """Note how many steps came since there were ``before``, of a run on ``model``; ``pressed``: when Run
        was, by the monotonic clock."""
        second = int(time.monotonic() - self._began)
        came = self.record.steps - before
        self.turns.append(Turn(model, came, pressed, time.monotonic() - pressed))
        self.measured.steps[second] = self.measured.steps.get(second, 0) + came

    def turns_told(self) -> list[tuple[str, int, float, float]]:
        """Return the runs as a `Result` has them."""
        return [
            (turn.model, turn.steps, round(turn.pressed - self._began, 2), round(turn.seconds, 2))
            for turn in self.turns
        ]


async def live(
    person: Person, chance: random.Random, until: float, challenges: Mapping[tuple[str, str], str]
) -> None:
    """Do what a student does until the time is over: think, run, look, hand in, vote."""
    await asyncio.sleep(chance.uniform(0, JOINING))
    await person.join()
    while time.monotonic() < until:
        await asyncio.sleep(chance.expovariate(1 / THINK))
        before = person.record.steps
        try:
            wanted = query(chance, *person.draw(chance))
            pressed = time.monotonic()
            run = await person.start(wanted)
            await person.follow(run, lambda: chance.random() < LOCKED)
            person.note_steps(before, wanted["model"], pressed)
            challenge = challenges.get((wanted["model"], wanted["image"]))
            if challenge and chance.random() < 0.5:
                await hand_in(person, run, challenge)
            if chance.random() < 0.2:
                await vote(person, chance)
        except RefusedError:
            continue  # it is in the record


def query(chance: random.Random, model: str, steps: int) -> dict[str, str]:
    """Return what somebody runs."""
    return {
        "model": model,
        "image": chance.choice(NETWORKS[model]),
        "attack": chance.choice(("bim", "pgd", "mi_fgsm")),
        "steps": str(steps),
        "epsilon": chance.choice(("2/255", "4/255", "8/255")) if model == "photos" else "0.2",
        "stop": "steps",
        "seed": str(chance.randrange(1000)),
    }


async def hand_in(person: Person, run: str, challenge: str) -> None:
    """Hand a run in, and keep what the server said of it with the files."""
    answer = await person.post(f"challenges/{challenge}/submissions", {"run": run})
    person.measured.handed.append(await handed_in(person.server, person.name, run, answer))


async def vote(person: Person, chance: random.Random) -> None:
    """Judge one picture of somebody else, if there is one."""
    shown = await person.get("vote")
    if shown["picture"]:
        choice = chance.choice(shown["names"])["choice"]
        await person.post("votes", {"picture": shown["picture"], "choice": choice})


async def watch_memory(site: Site, measured: Measured, until: float) -> None:
    """Note the memory of the server's processes, minute by minute."""
    began = time.monotonic()
    while time.monotonic() < until:
        minute = int((time.monotonic() - began) // 60)
        while len(measured.memory) <= minute:
            measured.memory.append([])
        measured.memory[minute].append(memory(site.process.pid))
        await asyncio.sleep(EVERY)


def memory(pid: int) -> float:
    """Return how many MB a process and its children hold for themselves (Linux)."""
    total = 0.0
    for process in (pid, *children(pid)):
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/{process}/status").read_text("ascii", "replace")
            total += float(text.split("RssAnon:")[1].split()[0]) / 1000
    return total


def children(pid: int) -> Iterator[int]:
    """Yield the processes that a process started."""
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split():
            yield int(child)
            yield from children(int(child))


@contextlib.asynccontextmanager
async def browser(wanted: bool) -> AsyncIterator[Browser | None]:
    """Start a browser if one is wanted."""
    if not wanted:
        yield None
        return
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        yield started
        await started.close()


async def use_page(
    started: Browser,
    server: Server,
    code: str,
    name: str,
    chance: random.Random,
    seen: Pages,
    until: float,
) -> None:
    """Join on a real page and run `RUNS_A_PAGE` times, or until the time is over, where others are at work;
    now and then reload it, or close the tab and open it again.

    Each curve must end with as many steps as the server has of that very run.
    """
    context = await started.new_context(viewport={"width": 390, "height": 844})
    address = f"{server.base}/rooms/{code}"
    try:
        page = await opened(context, address, seen)
        await page.locator("[data-test=name]").fill(name)
        await page.locator("[data-test=join] button").first.click()
        for _ in range(RUNS_A_PAGE):
            if time.monotonic() > until:
                return
            await press_run(page)
            run = await followed(page, server, seen)
            await asyncio.sleep(chance.expovariate(1 / THINK))
            if chance.random() < 0.2:
                await page.reload()
            elif chance.random() < 0.2:
                await page.close()
                page = await opened(context, address, seen)
            seen.runs.append(run)
    except PlaywrightError as error:
        seen.errors.append(f"{name}: {str(error)[:300]}")
    finally:
        await context.close()


async def press_run(page: Page) -> None:
    """Start a run: where one is shown that is over, the same button leads to the choice of the next."""
    state = page.locator("[data-state=over], [data-state=again], [data-state=chooser]")
    await state.first.wait_for(timeout=PATIENCE)
    button = page.locator("[data-test=run]").first
    if await state.first.get_attribute("data-state") == "over":
        await button.click(timeout=PATIENCE)
        await page.locator("[data-state=chooser]").wait_for(timeout=PATIENCE)
    await button.click(timeout=PATIENCE)


async def opened(context: BrowserContext, address: str, seen: Pages) -> Page:
    """Open a tab, whose errors are noted."""
    page = await context.new_page()
    page.on("pageerror", lambda error: seen.errors.append(str(error)[:300]))
    await page.goto(address)
    return page


async def followed(page: Page, server: Server, seen: Pages) -> str:
    """Wait until the page's newest run is over; return its id, and note whether its curve is the server's."""
    player = page.locator("[data-test=player]")
    await page.wait_for_function(OVER, arg=seen.runs, timeout=LONGEST_WAIT)
    run, count = await player.get_attribute("data-run"), await player.get_attribute("data-count")
    held = await server.ask("GET", f"runs/{run}")
    if int(count or 0) != held["count"]:
        seen.errors.append(f"A page shows {count} steps of {held['count']}.")
    return str(run)


async def attend(site: Site, options: argparse.Namespace) -> Result:
    """Open a room, let everybody in, and measure."""
    measured, pages = Measured(), Pages()
    chance = random.Random(options.seed)
    async with Server(site.url) as server:
        teacher = await Teacher.open(server, "Bench", models=["lenet", "photos"], runs=2, seconds=120.0)
        challenges = await set_challenges(teacher)
        began = time.monotonic()
        until = began + 60 * options.minutes
        people = [Person(server, teacher.code, f"P{n + 1}", measured, began) for n in range(options.people)]
        watching = asyncio.create_task(watch_memory(site, measured, until))
        async with browser(options.pages > 0) as started:
            tasks = [live(p, random.Random(chance.random()), until, challenges) for p in people]
            for number in range(options.pages):
                assert started
                drawn, name = random.Random(chance.random()), f"Page {number + 1}"
                ends = until if people else math.inf
                tasks.append(use_page(started, server, teacher.code, name, drawn, pages, ends))
            failed = [error for error in await asyncio.gather(*tasks, return_exceptions=True) if error]
        await watching
        seconds = time.monotonic() - began
        for person in people:
            await person.leave()
    return result(options, people, measured, seconds, pages, [repr(error) for error in failed])


async def set_challenges(teacher: Teacher) -> dict[tuple[str, str], str]:
    """Set a challenge for each network; return their ids by network and picture."""
    for model, images in NETWORKS.items():
        settings = {"model": model, "image": images[0]}
        await teacher.post("challenges", {"add": {"kind": "least_l2", "settings": settings}})
    told = (await teacher.change())["challenges"]
    return {(each["query"]["model"], each["query"]["image"]): each["id"] for each in told}


def result(
    options: argparse.Namespace,
    people: Sequence[Person],
    measured: Measured,
    seconds: float,
    pages: Pages,
    failed: list[str],
) -> Result:
    """Return the figures of what was noted."""
    total = Record()
    for person in people:
        total.add(person.record)
    waits = {what: quantiles(seconds) for what, seconds in total.waits.items()}
    by_minute = [median(samples) for samples in measured.memory if samples]
    return Result(
        people=options.people,
        minutes=options.minutes,
        seed=options.seed,
        pages=options.pages,
        **{name: getattr(total, name) for name in COUNTED},
        scores=len(measured.handed),
        wrong_scores=wrong(measured.handed),
        steps_per_second=total.steps / seconds,
        largest_room=int(busiest(measured.steps, seconds)),
        p95_wait_ms=waits.get("step", {}).get("p95", 0.0),
        wait_ms=waits,
        fairness={model: fairness(rounds(person.turns, model) for person in people) for model in NETWORKS},
        fairness_of_all=fairness(rounds(person.turns) for person in people),
        fairness_at_once=fairness_at_once([person.turns for person in people]),
        went_round=sum(bool(rounds(person.turns)) for person in people),
        **queue_figures(measured.queued),
        steps_by_second=[measured.steps.get(second, 0) for second in range(int(seconds))],
        turns=[person.turns_told() for person in people],
        memory_mb=by_minute,
        memory_drift=by_minute[-1] / by_minute[1] if len(by_minute) > 2 else None,
        refused=dict(Counter(total.refused)),
        errors=total.errors + failed,
        page_runs=len(pages.runs),
        page_errors=pages.errors,
        about=machine(),
    )


def quantiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return how long waits were, in milliseconds."""
    return {f"p{share * 100:g}": 1000 * float(np.quantile(seconds, share)) for share in QUANTILES}


def busiest(steps: Mapping[int, int], seconds: float) -> float:
    """Return the steps a second of the busiest whole minute; ``steps`` came in each second."""
    minutes = range(int(seconds // 60))
    return max((sum(steps.get(60 * m + s, 0) for s in range(60)) / 60 for m in minutes), default=0.0)


def rounds(turns: Sequence[Turn], model: str = "") -> list[Turn]:
    """Return somebody's runs as far as everything was run equally often, those on ``model`` or all."""
    once = len(NETWORKS) * len(STEPS)
    whole = turns[: len(turns) // once * once]
    return [turn for turn in whole if model in ("", turn.model)]


def fairness(people: Iterable[Sequence[Turn]]) -> float | None:
    """Return the seconds a step of the slowest quarter of people over those of the fastest, None for fewer
    than four people; ``people``: the runs of each."""
    return quarters(sum(t.seconds for t in own) / sum(t.steps for t in own) for own in people if own)


def fairness_at_once(people: Sequence[Sequence[Turn]]) -> float | None:
    """Return how long the runs of the slowest quarter of people took over how long those of the fastest did,
    as shares of what runs alike took that began within `AT_ONCE` seconds (indirect standardisation); of
    those who ran everything once at least, None for fewer than four people."""
    alike = defaultdict[tuple[str, int], list[Turn]](list)
    for turn in chain.from_iterable(people):
        alike[turn.model, turn.steps].append(turn)

    def usual(turn: Turn) -> float:
        others = alike[turn.model, turn.steps]
        return mean(other.seconds for other in others if abs(other.pressed - turn.pressed) <= AT_ONCE)

    return quarters(sum(t.seconds for t in own) / sum(map(usual, own)) for own in people if rounds(own))


def quarters(figures: Iterable[float]) -> float | None:
    """Return the mean of the greatest quarter over that of the least, None for fewer than four figures."""
    ordered = sorted(figures)
    quarter = len(ordered) // 4
    return mean(ordered[-quarter:]) / mean(ordered[:quarter]) if quarter else None


def queue_figures(queued: Sequence[Wait]) -> dict[str, Any]:
    """Return the fields of a `Result` that say what people were told of the queue, and how true it was."""
    places = [(wait.place, stood(wait, queued)) for wait in queued]
    return {
        "queued": len(queued),
        "places_told": places,
        "waits_told": [(round(wait.expected), round(wait.waited, 1)) for wait in queued],
        "place_within_20": places_true(places),
        "wait_within_20": waits_true(queued),
    }


def stood(wait: Wait, queued: Sequence[Wait]) -> int:
    """Return at which place a run stood when it was told one: how many of those that waited then, told or not
    yet, began until it did, itself among them."""
    return 1 + sum(other.entered <= wait.since < other.until < wait.until for other in queued)


def places_true(told: Sequence[tuple[int, int]]) -> float | None:
    """Return which share of the places was as was said, within 20 % or one."""
    return mean(abs(true - said) <= max(0.2 * true, 1) for said, true in told) if told else None


def waits_true(queued: Sequence[Wait]) -> float | None:
    """Return which share of the waits was as was said, within 20 % or half of what they are rounded to."""
    true = [abs(w.waited - w.expected) <= max(0.2 * w.waited, half(w.expected)) for w in queued]
    return mean(true) if true else None


def half(said: float) -> float:
    """Return half of what a wait of so many seconds is rounded to (`components.live.protocol.about`)."""
    return 0.5 if said < 10 else 2.5 if said < 120 else 15.0 if said < 300 else 30.0


def plot(found: Result, file: Path) -> None:
    """Write a page with the curves of a result."""
    titles = ("MB of memory, by minute", "steps received, by second")
    figure = make_subplots(rows=2, cols=1, subplot_titles=titles)
    figure.add_trace(go.Bar(y=found.memory_mb, name="MB"), 1, 1)
    figure.add_trace(go.Scatter(y=found.steps_by_second, name="steps"), 2, 1)
    title = f"{found.people} people, {found.steps_per_second:.0f} steps/s"
    figure.update_layout(title=title, showlegend=False)
    file.write_text(figure.to_html(include_plotlyjs=True), encoding="utf-8")


@contextlib.contextmanager
def computing(engine: str) -> Iterator[str]:
    """Provide what FOOLSCOPE_ENGINE is to say; replicas that are started here end with the block."""
    if engine != "ray":
        yield engine
        return
    with served("--replicas", "2") as (address, *_):
        yield address


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; return 0 when nothing was lost, mixed, doubled, stuck or wrong."""
    made = argparse.ArgumentParser(prog="python -m app bench room", description=__doc__)
    made.add_argument("--people", type=int, default=300, help="simulated, each over sockets of its own")
    made.add_argument("--pages", type=int, default=2, help="real pages in a browser beside them")
    made.add_argument("--minutes", type=float, default=5.0, help="for how long")
    made.add_argument("--seed", type=int, default=0, help="of all that is drawn by lot")
    made.add_argument("--out", type=Path, default=Path("room.json"), help="file to write, plots beside it")
    made.add_argument("--engine", default="", help="FOOLSCOPE_ENGINE; ray: two replicas of its own")
    options = made.parse_args(arguments)
    with TemporaryDirectory() as home, computing(options.engine) as engine:
        own = {"FOOLSCOPE_HOME": home} | ({"FOOLSCOPE_ENGINE": engine} if engine else {})
        with serve(environment=os.environ | own) as site:
            found = asyncio.run(attend(site, options))
    options.out.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    plot(found, options.out.with_suffix(".html"))
    print(json.dumps({k: v for k, v in asdict(found).items() if k not in LONG}, indent=1))
    for error in found.errors[:20]:
        print(error)
    bad = found.lost or found.mixed or found.doubled or found.stuck or found.wrong_scores
    return 1 if bad or found.errors or found.page_errors else 0


if __name__ == "__main__":
    raise SystemExit(console.run(main))
