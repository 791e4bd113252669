"""The live view: one component that follows a run by itself, beside Streamlit."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import streamlit as st

LIVE = Path(__file__).parent / "live"
"""The browser's files; the server hands them out at ``{base}/static/{version}``."""

_PLACE = '<div class="foolscope-place" style="min-height: 640px"></div>'

# Streamlit sends this text again with every message, so it only fetches the real modules.
_LOADER = """
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const address = new URL(`${data.base}/static/${data.v}/player.js`, document.baseURI).href;
  const player = import(address);
  player.then(({ show }) => show({ data, parentElement, setTriggerValue })).catch((error) => {
    console.error(error);
    const place = parentElement.querySelector(".foolscope-place");
    if (place) place.textContent = "The live view could not be loaded. Reload the page.";
  });
  return () => player.then(({ leave }) => leave(parentElement)).catch(() => {});
}
"""

_component = st.components.v2.component("foolscope_player", html=_PLACE, js=_LOADER)


@cache
def live_version() -> str:
    """Twelve hex digits that change when any of the browser's files does."""
    digest = sha256()
    for path in sorted(LIVE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def player(
    *, base: str, run: str | None, idle: dict[str, Any] | None, key: str, present: bool = False
) -> dict[str, Any]:
    """Show the run ``run``, or the picture in ``idle`` while there is none.

    ``base`` is the path of the run routes (``/foolscope``). ``idle`` holds ``model`` (title, size,
    channels), ``image_url``, ``top`` (five of label and probability in [0, 1]), ``target`` (label)
    or None, and ``hint``. The answer has ``start`` (bool: the person asks for a new run) and ``ended``
    (the id of a run that has just ended, else None); each is set for one script run.
    """
    facts: dict[str, Any] = {"base": base, "v": live_version(), "run": run, "present": present}
    facts["idle"] = None if run else idle
    # In a list, because in a bare dict Streamlit looks for data frames, which imports pandas: a second.
    result = _component(
        key=key,
        data=[facts],
        on_start_change=lambda: None,
        on_ended_change=lambda: None,
    )
    return {"start": result.start is not None, "ended": result.ended}
