"""What is not translated yet: ``make translations`` lists it, a phrase a line, by what says it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import attacks
import console
import experiments
import models
from app.compare import comparisons
from components.i18n.preferences import LANGUAGES
from components.i18n.text import phrases
from components.lesson import stage_titles
from engine.images.sources import samples
from engine.recipe import FIELDS
from settings import RESULTS, ROOT

SENTENCE = re.compile(r"(?:\b[a-z]{2,}[ ,]+){2}[a-z]{2,}")
"""What is in words, and not a name or a number."""


def trees(*layers: str) -> Iterator[ast.Module]:
    """Yield the modules of some packages."""
    for layer in layers:
        for path in sorted((ROOT / layer).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def literal() -> set[str]:
    """Return each phrase that stands in the code as ``say("...")``."""
    calls = (n for tree in trees("app", "components") for n in ast.walk(tree) if isinstance(n, ast.Call))
    named = (n for n in calls if getattr(n.func, "id", getattr(n.func, "attr", "")) == "say" and n.args)
    return {str(n.args[0].value) for n in named if isinstance(n.args[0], ast.Constant)}


def of_fields() -> set[str]:
    """Return the words of the widgets that the fields of a recipe declare."""
    widgets = [field.widget for field in FIELDS if field.widget]
    return {words for w in widgets for words in (w.label, w.help, *w.choices.values()) if words}


def claimed() -> set[str]:
    """Return the claims of the results that ship."""
    return {
        claim for path in RESULTS.glob("*.json") for claim in json.loads(path.read_text()).get("claims", {})
    }


def of_attack(name: str) -> set[str]:
    """Return what the pages say of an attack: all but its title, its paper's and the names of norms."""
    kind = attacks.get(name)
    words = {kind.card.summary, kind.card.use}
    for setting in kind.settings():
        words |= {setting.label, setting.help, *(set(setting.choices) - set(comparisons.ORDER))}
    return words


def of_stages(name: str) -> set[str]:
    """Return the parts of the names of an experiment's stages, as a bar of progress says them: whole where
    Chinese knows them so, else word by word."""
    known, titles = phrases("zh"), {card.name for card in models.cards()}
    names = (stage.name for stage in experiments.get(name)().stages())
    whole = {part for stage in names for part in stage_titles.PARTS.split(stage)}
    whole = {part for part in whole if part not in samples() and not part.startswith("photo:")}
    words = {word for part in whole - known.keys() for word in stage_titles.WORD.findall(part)} - titles
    return (whole & known.keys()) | words


def recorded() -> set[str]:
    """Return the words of the cards of models, experiments and samples that the catalogue shows."""
    words = {w for card in models.cards() for w in (card.summary, card.licence, *card.accuracy)}
    words |= {w for kind in experiments.registry().values() for w in (kind.card.question, kind.card.source)}
    return words | {w for s in samples().values() for w in (s.author, s.licence, s.source)}


def of_cards() -> set[str]:
    """Return the sentences of `recorded` that are the program's own."""
    names = {sample.author for sample in samples().values()} | {s.source for s in samples().values()}
    return {words for words in recorded() if SENTENCE.search(words)} - names


def of_checks() -> set[str]:
    """Return what is said of added networks: the sentences of their checks and of refusals to add one."""
    places = {"CheckResult": 2, "BadNetwork": 0}
    found: set[str] = set()
    for tree in trees("engine/admission", "models/added"):
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            place = places.get(getattr(call.func, "id", ""))
            if place is not None and len(call.args) > place:
                found |= _sentences(call.args[place], tree)
    return found


def _sentences(value: ast.expr, tree: ast.Module) -> set[str]:
    """Return the strings that an expression may be; a name is any that a module gives to it."""
    if isinstance(value, ast.Constant):
        return {value.value} if isinstance(value.value, str) else set()
    if isinstance(value, ast.IfExp):
        return _sentences(value.body, tree) | _sentences(value.orelse, tree)
    if isinstance(value, ast.Subscript):
        return _sentences(value.value, tree)
    if isinstance(value, ast.Dict):
        return {words for one in value.values for words in _sentences(one, tree)}
    if not isinstance(value, ast.Name):
        return set()
    given = (node for node in ast.walk(tree) if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value)
    own = [
        n
        for n in given
        if value.id in [getattr(t, "id", "") for t in getattr(n, "targets", [getattr(n, "target", None)])]
    ]
    return {words for node in own if node.value for words in _sentences(node.value, tree)}


def missing(language: str) -> dict[str, list[str]]:
    """Return the phrases that ``language`` lacks, by what says them."""
    said = {"pages": literal() | of_fields(), "claims": claimed(), "cards": of_cards(), "checks": of_checks()}
    said |= {f"attack {name}": of_attack(name) for name in attacks.registry()}
    said |= {f"stages of {name}": of_stages(name) for name in experiments.registry()}
    lacking = {source: sorted(words - phrases(language).keys()) for source, words in said.items()}
    return {source: words for source, words in lacking.items() if words}


def main() -> None:
    """List what is missing in every language but English."""
    for language in LANGUAGES:
        for source, words in missing(language).items() if language != "en" else ():
            print("\n".join(f"{language}  {source}: {phrase}" for phrase in words))


if __name__ == "__main__":
    raise SystemExit(console.run(main))
