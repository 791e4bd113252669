"""The article that the tour retells: where it is, what it is called, and what it prints of black."""

from __future__ import annotations

TITLE = "How to trick a neural network into thinking a panda is a vulture"
URL = "https://codewords.recurse.com/issues/five/why-do-neural-networks-think-a-panda-is-a-vulture"
NETWORK = "bvlc_googlenet_article"
"""Its network, fed as it feeds it."""
PRINTED = {
    "black": {
        "velvet": 27.38,
        "shower curtain": 6.40,
        "wool": 6.19,
        "paper towel": 4.67,
        "window screen": 4.39,
    },
    "one step": {
        "velvet": 60.17,
        "paper towel": 14.55,
        "shower curtain": 7.07,
        "wool": 5.99,
        "bath towel": 2.13,
    },
    "nine steps": {"paper towel": 89.98, "wool": 2.41},
}
"""What its second edition prints, in percent: of black, after a step of .9 grey levels that it rounds to 1,
and after nine steps of .1."""
EDITIONS = [96.06, PRINTED["nine steps"]["paper towel"]]
"""What its two editions print for the paper towel after the nine steps, in percent."""
