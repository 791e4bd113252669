"""Links: what is written is read back, and what is wrong is told, not guessed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attacks
import models
from attacks.contract import Stop
from engine import links
from engine.fields import Region
from engine.recipe import Recipe
from engine.targets import RANKED_TARGETS, SHORT_NAMES
from models.core import Crop


@st.composite
def recipes(draw):
    card = models.card(draw(st.sampled_from(["photos", "lenet", "bvlc_googlenet"])))
    kind = attacks.get(draw(st.sampled_from(list(attacks.registry()))))
    params = {}
    for each in kind.settings():
        if each.name != "norm" and draw(st.booleans()):
            if each.choices:
                params[each.name] = draw(st.sampled_from(each.choices))
            elif each.type == "bool":
                params[each.name] = draw(st.booleans())
            else:
                low, high = each.low or 0, each.high or 0
                whole = each.type == "int"
                params[each.name] = draw(st.integers(int(low), int(high)) if whole else st.floats(low, high))
    params = {n: v for n, v in params.items() if v != {s.name: s.default for s in kind.settings()}[n]}
    region = draw(st.none() | st.sampled_from([Region(0, 0, 1, 0.5), Region(0.25, 0.1, 0.5, 0.9)]))
    crop = draw(st.none() | st.builds(Crop, *[st.sampled_from([0.25, 0.5, 0.75])] * 3))
    stop = draw(
        st.sampled_from(
            [
                Stop("steps"),
                Stop("success"),
                Stop("row", times=3),
                Stop("probability", 0.9),
                links.DEFAULT.stop,
            ]
        )
    )
    target = draw(st.none() | st.integers(0, len(card.labels) - 1))
    survives = draw(st.sampled_from([(), ("jpeg75",), ("webp", "rotate")]))
    seed = draw(st.integers(0, 99))
    return Recipe(
        card.name, "coffee", kind.card.name, params, target, stop, region, seed, crop, survives=survives
    )


@settings(max_examples=60, deadline=None)
@given(recipes())
def test_a_link_written_is_the_same_recipe_read(recipe):
    link = links.read(links.write(recipe, "abc"))
    assert link.problems == [] and link.run == "abc"
    assert (link.target == links.ANYTHING) == (recipe.target is None)
    assert link.recipe == recipe


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"model": "resnet999"}, "no model"),
        ({"attack": "tickle"}, "no attack"),
        ({"target": "unicorn"}, "no class"),
        ({"attack": "bim", "steps": "-3"}, "Expected steps"),
        ({"attack": "bim", "steps": "1000000000"}, "Expected steps"),
        ({"attack": "bim", "epsilon": "nan"}, "Expected epsilon"),
        ({"attack": "bim", "wings": "2"}, "no setting"),
        ({"seed": "-1"}, "Expected seed"),
        ({"stop": "never"}, "Expected stop"),
        ({"stop": "1.5"}, "stopping probability"),
        ({"crop": "1,2"}, "Expected crop"),
        ({"crop": "0.5,0.5,7"}, "Expected crop"),
    ],
)
def test_each_wrong_part_is_one_sentence_and_the_rest_is_kept(part, says):
    link = links.read({"image": "coffee", **part})
    assert list(link.refused) == [list(part)[-1]] and says in str(link.problems[0])
    assert str(link.problems[0]).endswith((".", "?"))
    assert link.recipe.image == "coffee"
    link.recipe.build()


def test_an_empty_address_is_the_default():
    assert links.read({}).recipe == links.DEFAULT


@pytest.mark.parametrize(
    "text", ["random", "second", "second likely", "2nd likely", "least", "LEAST  likely"]
)
def test_a_target_by_rank_is_left_to_whoever_knows_the_ranking(text):
    link = links.read({"target": text})
    assert link.problems == [] and link.recipe.target is None and link.target == text


def test_no_class_is_called_like_a_target_by_rank():
    names = {*RANKED_TARGETS, *SHORT_NAMES, links.ANYTHING}
    assert not {label for card in models.cards() for label in card.labels if label.casefold() in names}
