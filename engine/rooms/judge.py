"""What is handed in for a challenge, judged by the bytes of the file alone on the server's own networks.

A file counts only if its pixels are those of a picture that was saved of one of its member's own runs in the
room, and that run began with the challenge's own picture. What a file says of itself helps to find the run,
and proves nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

import models
from engine import links
from engine.base import EngineBase
from engine.export import carried
from engine.export.making import Export, Wanted
from engine.images.sources import Decoded, examine
from engine.recipe import Recipe
from engine.rooms import permission
from engine.rooms.challenges.contract import File, Kind
from engine.rooms.competition import REPLAY, Competition, Submission, kind_of
from engine.rooms.records import Challenge, Member, Room
from engine.run import Run
from errors import BadImage, BadSetting, FoolscopeError, NotAllowed, UnknownName
from models.core import Card

MOST_BYTES = 2 * 2**20
"""Bytes of a file at most: a picture at a network's size is a tenth of that."""
OWN_RUNS, NEAREST = 60, 3
"""So many of a member's newest runs are looked at, and of so many, those whose pictures are nearest or those
that the file points to, files are made to be compared."""
CLOSED = "This challenge takes no more pictures."
NOT_OVER = "Expected a run that is over, got one that is still going on."
NO_RUN = "Expected one of your own runs in this room."
LARGE = "It does not count: expected a file of at most {most} MB, got more."
NO_PNG = "It does not count: expected a PNG file as it is saved here, got another kind of file."
SIZE = "It does not count: expected a picture of {side} x {side} pixels, got {width} x {height}."
FOREIGN = "It does not count: this is somebody else's picture."
EDITED = (
    "It does not count: these are not the pixels of any of your runs here. A picture that was painted over, "
    "compressed again or resized is another picture."
)
ANOTHER_START = "It does not count: that run did not begin with the picture of this challenge as it is."
FINISHED = "It does not count: this file was finished with gradients, and none are allowed here."


@dataclass(frozen=True)
class Origin:
    """Of which of a member's own runs a picture is, and whether it is the one that is finished with
    gradients."""

    run: Run
    finished: bool


class NotCountedError(FoolscopeError):
    """Why a file does not count."""


class Judge:
    """Judges for the rooms of one engine. Safe to share between threads."""

    def __init__(self, engine: EngineBase, competition: Competition) -> None:
        self.engine, self.competition = engine, competition

    def hand_in_run(self, room: Room, member: Member, challenge: str, run: str) -> Submission:
        """Judge what would be saved of a member's run; raises `errors.FoolscopeError` where there is no such
        run that is over, or nothing can be handed in."""
        wanted = self._taking(room, challenge)
        own = [noted.run for noted in self.competition.rooms.runs(room.code, member.id)]
        if run not in own:
            raise UnknownName(NO_RUN)
        found = self.engine.run(run)
        if not found.over or found.status == "failed" or len(found) < 2:
            raise BadSetting(NOT_OVER)
        number = self.competition.number(room)
        finished = kind_of(wanted).finished and found.succeeded(
            len(found) - 1
        )  # else there is nothing to keep
        export = self.saved(found, finished)
        self.note(found, export, finished)
        return self._judged(wanted, member, export.data, number)

    def hand_in_file(self, room: Room, member: Member, challenge: str, data: bytes) -> Submission:
        """Judge the bytes of a file; raises `errors.FoolscopeError` where nothing can be handed in."""
        wanted = self._taking(room, challenge)
        return self._judged(wanted, member, data, self.competition.number(room))

    def saved(self, run: Run, finished: bool) -> Export:
        """Return the file that is saved of a run: a PNG at the network's size of its last picture."""
        return self.engine.export(run, Wanted("network", len(run) - 1, finished))

    def original(self, kind: Kind, card: Card) -> Image.Image:
        """Return a challenge's picture as a network sees it, in 8 bits."""
        x = self.engine.preprocess(Recipe(card.name, kind.image, "fgsm"))
        octets = np.round(x * 255).astype(np.uint8)
        return Image.fromarray(
            octets[0] if len(octets) == 1 else np.ascontiguousarray(octets.transpose(1, 2, 0))
        )

    def note(self, run: Run, export: Export, finished: bool) -> None:
        """Note a picture that was saved at the network's size of a run, if the run is one of a room."""
        self.competition.note_file(run.id, carried.digest(examine(export.data).picture), finished)

    # ---- whether anything is taken ---------------------------------------------------------

    def _taking(self, room: Room, challenge: str) -> Challenge:
        wanted = self.competition.find(room, challenge)
        if room.frozen:
            raise NotAllowed(permission.FROZEN)
        if not wanted.open:
            raise NotAllowed(CLOSED)
        return wanted

    # ---- what the file is ------------------------------------------------------------------

    def _judged(self, challenge: Challenge, member: Member, data: bytes, number: int) -> Submission:
        blank = Submission(
            id=secrets.token_urlsafe(16),
            room=challenge.room,
            challenge=challenge.id,
            member=member.id,
            run="",
            number=number,
            at=self.competition.rooms.clock(),
            pixels="",
            counts=False,
            score=None,
            label="",
            template="",
            facts={},
        )
        kind, png = kind_of(challenge), b""
        try:
            decoded = read(data, kind.card)
            blank = replace(blank, pixels=carried.digest(decoded.picture))
            self._refuse_a_replay(blank)
            origin = self._origin(blank, member, decoded, kind)
            blank = replace(blank, run=origin.run.id)
            outcome = kind.score(self._file(kind, origin, decoded.picture))
            words, counts = outcome.said, outcome.score is not None
            blank = replace(blank, counts=counts, score=outcome.score, label=outcome.label)
            png = carried.encode(decoded.picture, "png") if counts else b""
        except (NotCountedError, BadImage) as error:
            words = error.sentence, {name: _plain(fact) for name, fact in error.facts.items()}
        done = replace(blank, template=words[0], facts=dict(words[1]))
        return self.competition.keep(done, png)

    def _refuse_a_replay(self, blank: Submission) -> None:
        before = self.competition.before(blank)
        if before:
            raise NotCountedError(REPLAY, number=before.number)

    def _file(self, kind: Kind, origin: Origin, picture: Image.Image) -> File:
        """Return the file as a kind sees it; refuse one of a run that began with something else."""
        if origin.finished and not kind.finished:
            raise NotCountedError(FINISHED)
        run, card = origin.run, kind.card
        start = self.original(kind, models.card(run.recipe.model))
        began = np.round(run.start * 255).astype(np.uint8)
        expected = np.asarray(start).reshape(*start.size[::-1], -1).transpose(2, 0, 1)
        if not np.array_equal(began, expected):
            raise NotCountedError(ANOTHER_START)
        mode = "RGB" if card.channels == 3 else "L"
        return File(card, picture.convert(mode), self.original(kind, card), run, self.engine.answers)

    # ---- whose it is -----------------------------------------------------------------------

    def _origin(self, blank: Submission, member: Member, decoded: Decoded, kind: Kind) -> Origin:
        """Return of which of the member's runs a picture is; refuse nobody's and somebody else's."""
        noted = self.competition.files(blank.room, blank.pixels)
        mine = [row for row in noted if row.member == member.id]
        if mine:
            wanted = next((row for row in mine if row.finished == kind.finished), mine[0])
            return Origin(self.engine.run(wanted.run), wanted.finished)
        own = [row.run for row in self.competition.rooms.runs(blank.room, member.id)][-OWN_RUNS:]
        found = self._match(self._nearest(self._read(own), decoded), blank.pixels, kind.finished)
        if found:
            return found
        if noted or self._is_anothers(blank, member, decoded, kind):
            raise NotCountedError(FOREIGN)
        raise NotCountedError(EDITED)

    def _is_anothers(self, blank: Submission, member: Member, decoded: Decoded, kind: Kind) -> bool:
        """Say whether somebody else handed these pixels in, or they are of a run that the file points to."""
        if self.competition.with_pixels(blank.room, blank.pixels):
            return True
        if decoded.carried is None:
            return False
        try:
            key = links.checked(decoded.carried.settings).recipe.key()
        except FoolscopeError:  # what nobody vouches for may be anything
            return False
        others = self.competition.runs_with(blank.room, key, besides=member.id)
        return self._match(self._read(others[:NEAREST]), blank.pixels, kind.finished) is not None

    def _read(self, names: list[str]) -> list[Run]:
        """Return those of the runs that are over and can be read."""
        runs = []
        for name in names:
            try:
                runs.append(self.engine.run(name))
            except UnknownName:  # it is no longer in the database
                continue
        return [run for run in runs if run.over and run.status != "failed" and len(run) > 1]

    def _nearest(self, runs: list[Run], decoded: Decoded) -> list[Run]:
        """Return the runs whose last pictures are most like a picture."""
        levels = np.asarray(decoded.picture, np.float32).transpose(2, 0, 1) / 255
        fitting = [run for run in runs if run.start.shape[1:] == levels.shape[1:]]
        distance = {run.id: float(np.square(run.picture(len(run) - 1) - levels).sum()) for run in fitting}
        return sorted(fitting, key=lambda run: distance[run.id])[:NEAREST]

    def _match(self, runs: list[Run], pixels: str, finished: bool) -> Origin | None:
        """Return of which of the runs these pixels are saved, as ``finished`` says or as the other."""
        for kind in (finished, not finished):
            for run in runs:
                if carried.digest(examine(self.saved(run, kind).data).picture) == pixels:
                    return Origin(run, kind)
        return None


def read(data: bytes, card: Card) -> Decoded:
    """Return what the upload's door reads in a PNG of a network's size; refuses anything else."""
    if len(data) > MOST_BYTES:
        raise NotCountedError(LARGE, most=MOST_BYTES // 2**20)
    if not data.startswith(carried.PNG):
        raise NotCountedError(NO_PNG)
    _check_size((int.from_bytes(data[16:20]), int.from_bytes(data[20:24])), card)  # before it is decoded
    decoded = examine(data)
    _check_size(decoded.picture.size, card)
    return decoded


def _check_size(size: tuple[int, int], card: Card) -> None:
    if size != (card.size, card.size):
        raise NotCountedError(SIZE, side=card.size, width=size[0], height=size[1])


def _plain(fact: object) -> str | int:
    """Return a fact of a sentence as JSON keeps it."""
    return fact if isinstance(fact, int) else str(fact)
