"""A row of small pictures to choose from."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from components.text import say

_CSS = """
.row { display: grid; grid-template-columns: repeat(6, 1fr); gap: 5px; }
button { padding: 0; border: 2px solid transparent; border-radius: 6px; background: none; cursor: pointer;
  aspect-ratio: 1; overflow: hidden; }
button img { width: 100%; height: 100%; object-fit: cover; display: block; border-radius: 4px; }
button[aria-checked="true"] { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""

_JS = """
export default function ({ data: [data], parentElement, setTriggerValue }) {
  let row = parentElement.querySelector(".row");
  if (!row) {
    row = document.createElement("div");
    row.className = "row";
    row.setAttribute("role", "radiogroup");
    parentElement.appendChild(row);
    for (const item of data.items) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.name = item.name;
      button.setAttribute("role", "radio");
      const image = document.createElement("img");
      image.src = item.url;
      button.appendChild(image);
      row.appendChild(button);
    }
  }
  row.setAttribute("aria-label", data.label);
  const labels = Object.fromEntries(data.items.map((item) => [item.name, item.label]));
  for (const button of row.children) {
    button.title = button.firstChild.alt = labels[button.dataset.name];
    button.setAttribute("aria-checked", String(button.dataset.name === data.chosen));
    button.onclick = () => setTriggerValue("picked", button.dataset.name);
  }
}
"""

_component = st.components.v2.component("foolscope_gallery", css=_CSS, js=_JS)


def gallery(items: Sequence[dict[str, str]], chosen: str | None, key: str) -> str | None:
    """Show ``items`` (each with name, label, url) and return the name just picked, else None."""
    # A list, because Streamlit looks for data frames in a bare dict, which imports pandas.
    listed = [{"items": list(items), "chosen": chosen, "label": say("Sample pictures")}]
    result = _component(key=key, data=listed, on_picked_change=lambda: None)
    return str(result.picked) if result.picked else None
