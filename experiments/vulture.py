"""The article that the tour retells: where it is, and what it is called."""

from __future__ import annotations

TITLE = "How to trick a neural network into thinking a panda is a vulture"
URL = "https://codewords.recurse.com/issues/five/why-do-neural-networks-think-a-panda-is-a-vulture"
