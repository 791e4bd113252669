"""A rehearsal against the real server: it passes when every row came once, and fails when one did not."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from bench import rehearse
from bench.rehearse import Plan, Rehearsal
from bench.site import Site, free_port
from bench.students import HEAD, Received, RefusedError, Server, Student, Teacher, Wire, dial
from errors import FoolscopeError
from tests.support import event_loop

PLAN = Plan(students=5, pace=0.0, networks=("lenet",))
Change = Callable[[bytes], list[bytes]]


class Faulty:
    """A wire that does something to the frames of rows."""

    def __init__(self, wire: Wire, change: Change) -> None:
        self.wire, self.change, self.held = wire, change, list[str | bytes]()

    async def recv(self) -> str | bytes:
        while not self.held:
            frame = await self.wire.recv()
            self.held += self.change(frame) if isinstance(frame, bytes) and frame[0] == 1 else [frame]
        return self.held.pop(0)

    async def close(self) -> None:
        await self.wire.close()


def without_its_last_row(frame: bytes) -> list[bytes]:
    """Return a frame of rows whose last row got lost on the way."""
    kind, scalars, classes, start, count = HEAD.unpack_from(frame)
    width = 4 * (scalars + classes)
    return [HEAD.pack(kind, scalars, classes, start, count - 1) + frame[HEAD.size : -width]]


def with_another_figure(frame: bytes) -> list[bytes]:
    """Return a frame of rows whose first figure is another."""
    (first,) = struct.unpack_from("<f", frame, HEAD.size)
    return [frame[: HEAD.size] + struct.pack("<f", first + 1) + frame[HEAD.size + 4 :]]


def rehearsed(site: Site, change: Change | None = None) -> Rehearsal:
    async def faulty(address: str) -> Wire:
        return Faulty(await dial(address), change) if change else await dial(address)

    return event_loop.run(rehearse.rehearse(site.url, PLAN, faulty))


def test_five_students_join_bet_and_run_and_nothing_is_lost(site: Site) -> None:
    found = rehearsed(site)
    record = found.record
    assert found.right, rehearse.table(found)
    assert (found.joined, record.finished, record.stuck) == (5, 5, 0)
    assert record.steps == record.held > 5 and sum(found.counted) == 5
    assert found.handed_in == 5 and found.count == 5 and found.votes >= 5
    steps = f"{record.steps} of {record.steps}"
    assert rehearse.table(found).endswith("All is right.") and steps in rehearse.table(found)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (without_its_last_row, "lost"),
        (lambda frame: [frame, frame], "doubled"),
        (with_another_figure, "mixed"),
    ],
)
def test_a_faulty_wire_fails_the_rehearsal(site: Site, change: Change, fault: str) -> None:
    found = rehearsed(site, change)
    assert not found.right and getattr(found.record, fault) > 0
    assert "Something is not right" in rehearse.table(found)


def test_a_screen_that_is_locked_goes_on_where_it_was(site: Site) -> None:
    async def locked() -> Student:
        async with Server(site.url) as server:
            teacher = await Teacher.open(server, "Friday", models=["lenet"])
            student = Student(server, teacher.code, "Anna")
            await student.join()
            query = {"model": "lenet", "image": "seven", "attack": "pgd", "steps": "200", "stop": "steps"}
            await student.run(query, cut=lambda: True)
            await student.leave()
            return student

    record = event_loop.run(locked()).record
    assert record.right and record.steps == record.held == 201 and record.cuts > 1


def test_where_no_server_is_the_command_says_so() -> None:
    with pytest.raises(FoolscopeError, match="Expected a server at"):
        event_loop.run(rehearse.rehearse(f"http://127.0.0.1:{free_port()}", PLAN))


def test_a_cursor_is_before_the_first_row_that_is_missing() -> None:
    received = Received(0.0)
    for start in (0, 1, 3):
        received.take(HEAD.pack(1, 1, 0, start, 1) + struct.pack("<f", start))
    assert received.cursor == 2 and received.take(b"\3") == 0
    received.take(HEAD.pack(1, 1, 0, 2, 2) + struct.pack("<2f", 2, 3))
    assert received.cursor == 4 and received.doubled == 1
    assert received.compare([[0.0], [1.0], [2.0], [3.0]]) == (0, 0)
    assert received.compare([[0.0], [None], [2.0], [3.0], [4.0]]) == (1, 1)


def test_bets_over_http_are_the_members_own_and_the_teachers_to_reveal(site: Site) -> None:
    async def lesson() -> None:
        async with Server(site.url) as server:
            teacher = await Teacher.open(server, "Friday")
            anna, ben = (Student(server, teacher.code, name) for name in ("Anna", "Ben"))
            for student in (anna, ben):
                await student.join()
                assert (await student.state())["room"]["asked"] is None
            known = (await teacher.get("questions"))["questions"]
            assert [one["question"] for one in known][0] == "at_work" and known[0]["asks"]
            with pytest.raises(RefusedError, match="a lesson with a question"):
                await teacher.change(question="../en/toy")
            await teacher.change(question="templates")
            for answer, word in ((3, "from 0 to 2, got 3"), ("0", "a number"), (True, "a number")):
                with pytest.raises(RefusedError, match=word):
                    await anna.post("bets", {"question": "templates", "answer": answer})
            with pytest.raises(RefusedError, match="teacher"):
                await anna.post("reveal", {})
            await anna.bet("templates", 1)
            await anna.bet("templates", 0)
            assert (await anna.get("bets"))["bets"] == {"templates": 0}
            before = (await teacher.get("answers"))["answers"]
            assert (before["counts"], before["people"], before["members"]) == ([1, 0, 0], 1, 2)
            assert before["right"] is None and not before["why"]
            await teacher.post("reveal", {})
            with pytest.raises(RefusedError, match="revealed"):
                await ben.bet("templates", 0)
            shown = (await ben.state())["room"]["asked"]
            assert shown["right"] == 0 and "0.32" in shown["why"]
            for student in (anna, ben):
                await student.leave()

    event_loop.run(lesson())
