"""A person's own words as the classes of a network that compares images with texts (CLIP).

In the name of a network they stand behind a tilde, ``clip~giant panda;toaster``, so that addresses, saved
runs and the command line have them; a sign that means something in a name is written as in an address
(``%2B``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from errors import BadSetting

MARK, BETWEEN = "~", ";"
"""What stands before the words in a name, and between them there and on the command line."""
SIGNS = re.compile(r"[%+@~;]")
MOST, LONGEST = 100, 100
"""Words at most, and characters of one at most."""
PHRASE = 4
"""A line of so many words is a text as it is."""
TEMPLATE = "a photo of a {}"
DETERMINED = re.compile(r"(an?|the|my|your|his|her|our|their|this|that|some|one|two|three)\s", re.IGNORECASE)


class Worded(NamedTuple):
    """What a name says: the network ``base``, and the ``words`` in place of its own, () for its own."""

    base: str
    words: tuple[str, ...]


def name_of(base: str, words: Iterable[str]) -> str:
    """Return the name of the network ``base`` with these words in place of its own."""
    written = [SIGNS.sub(lambda sign: f"%{ord(sign[0]):02X}", word) for word in words]
    return f"{base}{MARK}{BETWEEN.join(written)}"


def parsed(name: str) -> Worded:
    """Return which network ``name`` is of, and which words it has; raises as `checked` does."""
    base, marked, written = name.partition(MARK)
    if not marked:
        return Worded(name, ())
    return Worded(base, checked(unquote(word) for word in written.split(BETWEEN)))


def checked(words: Iterable[str]) -> tuple[str, ...]:
    """Return the words without what is empty and without spaces around them.

    Raises `errors.BadSetting` for none, for more than 100, for one of more than 100 characters, and for two
    that are alike but for small and capital letters.
    """
    lines = [" ".join(word.split()) for word in words]
    classes = tuple(line for line in lines if line)
    if not 1 <= len(classes) <= MOST:
        raise BadSetting(
            "Expected 1 to {most} words, one for each class, got {got}.", most=MOST, got=len(classes)
        )
    seen = set[str]()
    for line in classes:
        if len(line) > LONGEST:
            problem = "Expected words of at most {most} characters, got {got}: “{start}…”."
            raise BadSetting(problem, most=LONGEST, got=len(line), start=line[:30])
        if line.casefold() in seen:
            raise BadSetting("Expected different words, got “{word}” twice.", word=line)
        seen.add(line.casefold())
    return classes


def text_of(word: str) -> str:
    """Return the text that stands for a class: a line of four words or more, or of none of the letters a to
    z, as it is; a shorter one as the name of something, "a photo of a {}" (Radford et al. 2021, section
    3.1.4, https://arxiv.org/abs/2103.00020), without "a" before a name with a capital or with an article of
    its own.
    """
    if len(word.split()) >= PHRASE or not re.search("[a-zA-Z]", word):
        return word
    if word[0].isupper() or DETERMINED.match(word):
        return f"a photo of {word}"
    return TEMPLATE.format(word)
