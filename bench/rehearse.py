"""``python -m app rehearse``: a lesson in a room, with simulated students, before the real ones come."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import tempfile
from collections.abc import Awaitable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Annotated

import typer

from bench import site
from bench.students import Dial, Record, RefusedError, Server, Student, Teacher, dial
from errors import FoolscopeError

QUESTION = "just_noise"
DIGITS, PICTURES = ("seven", "three"), ("panda", "cat", "dog", "koala", "coffee")
RUNS = {"lenet": DIGITS, "photos": PICTURES}
"""The networks that everybody runs an attack on, the fast one first, and the pictures for it."""
ATTACKS = ("bim", "pgd", "mi_fgsm")
CHALLENGE = {
    "kind": "least_l2",
    "title": "Rehearsal",
    "settings": {"model": "lenet", "image": "seven", "target": "3"},
}
"""What everybody hands in for, with the first run."""
FAR = {"attack": "bim", "epsilon": "0.4", "steps": "40"}
"""Settings of a run for it that reach its aim."""
MOST_VOTES = 3
LOCKED = 0.02
"""How probable it is that a phone's screen is locked after a frame of rows."""


@dataclass(frozen=True)
class Plan:
    """Who rehearses. ``pace``: by how much the times for thinking are multiplied, 0 for none; ``networks``:
    on which everybody runs an attack; ``patience``: seconds without a row after which a run is stuck."""

    students: int
    seed: int = 0
    pace: float = 1.0
    networks: tuple[str, ...] = tuple(RUNS)
    patience: float = 120.0


@dataclass
class Rehearsal:
    """What happened. ``joined``: students; ``bets``: taken, by answer, and ``counted``, that the server has;
    ``handed_in``: pictures, of which so many ``count``; ``votes``: on what people see in them; ``ended``:
    whether the room was."""

    plan: Plan
    record: Record = field(default_factory=Record)
    joined: int = 0
    bets: list[int] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    handed_in: int = 0
    count: int = 0
    votes: int = 0
    ended: bool = False

    @property
    def right(self) -> bool:
        """Say whether everybody was there, every run was finished and every row came once."""
        wanted = self.plan.students * len(self.plan.networks)
        there = self.joined == self.handed_in == self.plan.students and self.record.finished == wanted
        shown = self.bets == self.counted and self.ended and not self.record.refused
        return there and shown and self.record.right


def command(
    students: Annotated[int, typer.Option(min=1, max=1000, help="How many students.")] = 30,
    url: Annotated[
        str | None,
        typer.Option(help="A server that runs, such as http://127.0.0.1:8501; default: a new one."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of who chooses what and thinks how long.")] = 0,
    pace: Annotated[float, typer.Option(min=0, help="Times for thinking are multiplied by this.")] = 1.0,
) -> None:
    """Rehearse a lesson in a room with simulated students, over real HTTP and real sockets: they join, bet,
    run attacks, hand in and vote; print what came of it. The exit status is 0 only if all was right."""
    plan = Plan(students, seed, pace)
    with ExitStack() as stack:
        found = asyncio.run(rehearse(url or _own(stack), plan))
    print(table(found))
    raise typer.Exit(0 if found.right else 1)


def _own(stack: ExitStack) -> str:
    """Start a server with a home of its own, until ``stack`` ends; return its address."""
    home = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
    print("Starting a server ...", flush=True)
    try:
        return stack.enter_context(site.serve(environment=os.environ | {"FOOLSCOPE_HOME": home})).url
    except RuntimeError as error:
        raise FoolscopeError(str(error)) from error


async def rehearse(url: str, plan: Plan, dial: Dial = dial) -> Rehearsal:
    """Rehearse in a new room of the server at ``url``; return what happened. ``dial`` opens runs' sockets.

    Raises `errors.FoolscopeError` where no room can be opened.
    """
    found = Rehearsal(plan)
    async with Server(url, dial) as server:
        networks = list(plan.networks)
        teacher = await Teacher.open(server, "Rehearsal", models=networks, attacks=list(ATTACKS))
        try:
            await _lesson(server, teacher, found)
        finally:
            await teacher.post("end", {})
            found.ended = True
    return found


async def _lesson(server: Server, teacher: Teacher, found: Rehearsal) -> None:
    """Hold the lesson: all join and bet, the answer is revealed, all run attacks, hand in and vote."""
    plan = found.plan
    class_ = [Student(server, teacher.code, f"Student {n + 1}", plan.patience) for n in range(plan.students)]
    chances = [random.Random(f"{plan.seed} {student.name}") for student in class_]
    pairs = list(zip(class_, chances, strict=True))
    await teacher.change(question=QUESTION)
    await teacher.post("challenges", {"add": CHALLENGE})
    await asyncio.gather(*(_guarded(_enter(student, chance, found)) for student, chance in pairs))
    asked = (await teacher.get("answers"))["answers"]
    found.counted = asked["counts"]
    found.bets = [found.bets.count(number) for number in range(len(asked["answers"]))]
    await teacher.post("reveal", {})
    here = [(student, chance) for student, chance in pairs if student.token]
    await asyncio.gather(*(_guarded(_work(student, chance, found)) for student, chance in here))
    await teacher.change(judging=True)
    await asyncio.gather(*(_guarded(_judge(student, chance, found)) for student, chance in here))
    for student in class_:
        await student.leave()
        found.record.add(student.record)


async def _guarded(doing: Awaitable[None]) -> None:
    """Let a student go on until the server refuses something, which the student's record has by then."""
    with contextlib.suppress(RefusedError):
        await doing


async def _enter(student: Student, chance: random.Random, found: Rehearsal) -> None:
    """Join, look around, and bet; some think better of it."""
    await asyncio.sleep(found.plan.pace * chance.uniform(0, 10))
    await student.join()
    found.joined += 1
    answers = (await student.state())["room"]["asked"]["answers"]
    await asyncio.sleep(found.plan.pace * chance.uniform(1, 10))
    choices = [chance.randrange(len(answers)) for _ in range(chance.choice((1, 1, 2)))]
    for choice in choices:
        await student.bet(QUESTION, choice)
    found.bets.append(choices[-1])


async def _work(student: Student, chance: random.Random, found: Rehearsal) -> None:
    """Run an attack on each network, the first one for the challenge, and hand that in."""
    (challenge,) = (await student.get("challenges"))["challenges"]
    for network in found.plan.networks:
        await asyncio.sleep(found.plan.pace * chance.uniform(0, 10))
        query = {"model": network, "image": chance.choice(RUNS[network]), "attack": chance.choice(ATTACKS)}
        query |= {"steps": "40", "stop": "steps"}
        meant = network == challenge["query"]["model"]
        run = await student.start(challenge["query"] | FAR if meant else query)
        await student.follow(run, cut=lambda: chance.random() < LOCKED)
        if meant:
            verdict = await student.post(f"challenges/{challenge['id']}/submissions", {"run": run})
            found.handed_in += 1
            found.count += verdict["counts"]


async def _judge(student: Student, chance: random.Random, found: Rehearsal) -> None:
    """Look at what others have handed in, and say what it shows."""
    for _ in range(MOST_VOTES):
        shown = await student.get("vote")
        if shown["picture"] is None:
            return
        await student.file(f"pictures/{shown['picture']}.png")
        await asyncio.sleep(found.plan.pace * chance.uniform(1, 3))
        name = chance.choice(shown["names"])
        await student.post("votes", {"picture": shown["picture"], "choice": name["choice"]})
        found.votes += 1


def table(found: Rehearsal) -> str:
    """Return what happened as a plain table."""
    record, plan = found.record, found.plan
    rows: dict[str, object] = {
        "joined": f"{found.joined} of {plan.students}",
        "bets, by answer": f"{found.bets}, counted by the server {found.counted}",
        "runs finished": f"{record.finished} of {plan.students * len(plan.networks)}",
        "fooled": record.fooled,
        "handed in": f"{found.handed_in}, of which {found.count} count",
        "votes": found.votes,
        "steps received": f"{record.steps} of {record.held} that the server has",
        "lost, doubled, mixed": f"{record.lost}, {record.doubled}, {record.mixed}",
        "sockets that broke": record.cuts,
        **{f"longest wait: {words}": _wait(record, what) for what, words in WAITS.items()},
    }
    lines = [f"{name:<44}{value}" for name, value in rows.items()]
    lines += [f"refused: {sentence}" for sentence in dict.fromkeys(record.refused)]
    lines += [f"error: {sentence}" for sentence in dict.fromkeys(record.errors)]
    return "\n".join([*lines, "All is right." if found.right else "Something is not right: see above."])


WAITS: Mapping[str, str] = {
    "answer": "for an answer",
    "first": "from Run to the first step",
    "step": "between steps",
}
"""What is waited for, by its name in `bench.students.Record.waits`, in words."""


def _wait(record: Record, what: str) -> str:
    seconds = record.waits.get(what, [])
    if not seconds:
        return "–"
    return f"{max(seconds):.2f} s, half of them at most {statistics.median(seconds):.2f} s"
