"""How a live component gets its code: the server hands it out, Streamlit only fetches it."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

from components.i18n.text import say
from settings import LIVE

# Streamlit sends this text again with every message, so it only fetches the real modules. While they are on
# their way more data may come, and the imports end in any order: what is newest is shown, and it alone.
_LOADER = """
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const address = new URL(`${data.base}/static/${data.v}/MODULE.js`, document.baseURI).href;
  const module = import(address);
  parentElement.newest = module;
  module.then(({ show }) => {
    if (parentElement.newest === module) show({ data, parentElement, setTriggerValue });
  }).catch((error) => {
    console.error(error);
    (parentElement.querySelector(".foolscope-place") ?? parentElement).textContent = data.failed;
  });
  return () => module.then(({ leave }) => leave?.(parentElement)).catch(() => {});
}
"""


def loader(module: str) -> str:
    """Return the script of a component whose code is ``components/live/static/<module>.js``."""
    return _LOADER.replace("MODULE", module)


def place(height: int) -> str:
    """Return HTML that keeps ``height`` pixels free until the component draws."""
    return f'<div class="foolscope-place" style="min-height: {height}px"></div>'


def facts(base: str, **more: Any) -> list[dict[str, Any]]:
    """Return what a component is given: where its code is, and ``more``.

    In a list, because in a bare dict Streamlit looks for data frames, which imports pandas: a second.
    """
    failed = say("The live view could not be loaded. Reload the page.")
    return [{"base": base, "v": live_version(), "failed": failed} | more]


@cache
def live_version() -> str:
    """Twelve hex digits that change when any of the browser's files does."""
    digest = sha256()
    for path in sorted(path for path in LIVE.rglob("*") if path.is_file()):
        digest.update(path.relative_to(LIVE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
