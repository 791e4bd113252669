"""Bets in a real database: one for each member, changeable until the answer is revealed."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.history.database import Database
from engine.rooms import bets
from engine.rooms.records import Member, Revealed
from engine.rooms.rooms import Rooms
from errors import BadSetting, NotAllowed, UnknownName
from tests.support.postgresql import both

ASKED = bets.Question("just_noise", 3)
RIGHT = Revealed(1, {"label": "giant panda", "share": "42.5 %"})


pytestmark = both


@pytest.fixture
def rooms(address: str) -> Iterator[Rooms]:
    database = Database(address)
    yield Rooms(database)
    database.close()


def asked(rooms: Rooms, people: int) -> tuple[str, list[Member]]:
    """Return the code of a room in which `ASKED` is asked, and its members."""
    code = rooms.open().room.code
    bets.ask(rooms, code, ASKED.name)
    return code, [rooms.join(code, f"Student {n}").member for n in range(people)]


def counted(rooms: Rooms, code: str) -> list[int]:
    return bets.counts(rooms, rooms.room(code), ASKED)


def test_everybody_has_one_bet_and_the_last_one_counts(rooms: Rooms) -> None:
    code, (first, second, third) = asked(rooms, 3)
    for member, answer in ((first, 0), (second, 2), (first, 1), (first, 2), (third, 0)):
        bets.bet(rooms, member, ASKED, answer)
    assert counted(rooms, code) == [1, 0, 2]
    assert bets.own(rooms, first) == {ASKED.name: 2}


def test_a_bet_pressed_twice_at_once_is_one_bet(rooms: Rooms) -> None:
    code, (member,) = asked(rooms, 1)
    threads = [threading.Thread(target=bets.bet, args=(rooms, member, ASKED, 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(rooms, code) == [0, 1, 0]


def test_who_was_sent_out_does_not_count(rooms: Rooms) -> None:
    code, (first, second) = asked(rooms, 2)
    bets.bet(rooms, first, ASKED, 0)
    bets.bet(rooms, second, ASKED, 0)
    rooms.remove(code, second.id)
    assert counted(rooms, code) == [1, 0, 0]


def test_after_the_answer_is_revealed_no_bet_is_taken_even_when_it_is_asked_again(rooms: Rooms) -> None:
    code, (member, late) = asked(rooms, 2)
    bets.bet(rooms, member, ASKED, 0)
    room = bets.reveal(rooms, code, ASKED.name, RIGHT)
    assert room.revealed == {ASKED.name: RIGHT} and room.question == ASKED.name
    bets.ask(rooms, code, "many_steps")
    bets.reveal(rooms, code, "many_steps", Revealed(0, {}))
    bets.ask(rooms, code, ASKED.name)
    for somebody in (member, late):
        with pytest.raises(NotAllowed, match="revealed"):
            bets.bet(rooms, somebody, ASKED, 1)
    assert counted(rooms, code) == [1, 0, 0] and bets.own(rooms, late) == {}
    assert rooms.room(code).revealed[ASKED.name] == RIGHT


def test_only_the_question_that_is_asked_takes_bets_and_nothing_while_frozen(rooms: Rooms) -> None:
    code, (member,) = asked(rooms, 1)
    with pytest.raises(NotAllowed, match="not asked"):
        bets.bet(rooms, member, bets.Question("many_steps", 4), 0)
    rooms.change(code, frozen=True)
    with pytest.raises(NotAllowed, match="stopped"):
        bets.bet(rooms, member, ASKED, 0)
    rooms.change(code, frozen=False, question="")
    with pytest.raises(NotAllowed, match="not asked"):
        bets.bet(rooms, member, ASKED, 0)
    with pytest.raises(UnknownName):
        bets.reveal(rooms, code, "", RIGHT)
    for answer in (-1, 3):
        with pytest.raises(BadSetting, match=f"got {answer}"):
            bets.bet(rooms, member, ASKED, answer)
    assert counted(rooms, code) == [0, 0, 0]


def test_another_rooms_bets_do_not_count_and_the_end_deletes_them(rooms: Rooms) -> None:
    code, (member,) = asked(rooms, 1)
    other, (stranger,) = asked(rooms, 1)
    bets.bet(rooms, member, ASKED, 0)
    bets.bet(rooms, stranger, ASKED, 2)
    assert counted(rooms, code) == [1, 0, 0] and counted(rooms, other) == [0, 0, 1]
    room = rooms.room(code)
    rooms.end(code)
    assert bets.counts(rooms, room, ASKED) == [0, 0, 0] and counted(rooms, other) == [0, 0, 1]
