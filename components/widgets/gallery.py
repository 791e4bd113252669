"""Small pictures to choose from, those of a group of its own under a heading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import streamlit as st

from components.i18n.text import say
from engine.images.sources import Group

_CSS = """
.row { display: grid; grid-template-columns: repeat(7, 1fr); gap: 4px; }
@media (max-width: 640px) { .row { grid-template-columns: repeat(5, 1fr); gap: 6px; } }
.heading { margin: 8px 0 3px; font-size: 0.8rem; line-height: 1.3; color: var(--st-text-color);
  opacity: 0.75; }
.strip { display: flex; gap: 6px; overflow-x: auto; overscroll-behavior-x: contain; scrollbar-width: none;
  padding: 2px; }
.strip .heading { display: none; }
.strip .row { display: flex; gap: 6px; }
.strip button { flex: none; width: 44px; }
button { padding: 0; border: 2px solid transparent; border-radius: 6px; background: none; cursor: pointer;
  aspect-ratio: 1; overflow: hidden; }
button img { width: 100%; height: 100%; object-fit: cover; display: block; border-radius: 4px; }
button[aria-checked="true"] { border-color: var(--st-primary-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""

_JS = """
const draw = (item) => {
  const radio = document.createElement("button");
  radio.type = "button";
  radio.dataset.name = item.name;
  radio.setAttribute("role", "radio");
  const image = document.createElement("img");
  image.src = item.url;
  radio.appendChild(image);
  return radio;
};

const build = (items, headings) => {
  const shelf = document.createElement("div");
  shelf.className = "shelf";
  shelf.setAttribute("role", "radiogroup");
  for (const group of new Set(items.map((item) => item.group))) {
    if (headings[group]) {
      const heading = document.createElement("div");
      heading.className = "heading";
      heading.dataset.group = group;
      shelf.appendChild(heading);
    }
    const row = document.createElement("div");
    row.className = "row";
    row.append(...items.filter((item) => item.group === group).map(draw));
    shelf.appendChild(row);
  }
  return shelf;
};

const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

export default function ({ data: [data], parentElement, setTriggerValue }) {
  let shelf = parentElement.querySelector(".shelf");
  if (!shelf) {
    shelf = build(data.items, data.headings);
    shelf.classList.toggle("strip", data.strip);
    parentElement.appendChild(shelf);
  }
  shelf.setAttribute("aria-label", data.label);
  for (const heading of shelf.querySelectorAll(".heading"))
    heading.textContent = data.headings[heading.dataset.group];
  const labels = Object.fromEntries(data.items.map((item) => [item.name, item.label]));
  const radios = [...shelf.querySelectorAll("button")];
  const chosen = radios.find((radio) => radio.dataset.name === data.chosen);
  radios.forEach((radio, index) => {
    radio.title = radio.firstChild.alt = labels[radio.dataset.name];
    radio.setAttribute("aria-checked", String(radio === chosen));
    radio.tabIndex = radio === (chosen ?? radios[0]) ? 0 : -1;
    radio.onclick = () => setTriggerValue("picked", radio.dataset.name);
    radio.onkeydown = (event) => {
      if (!(event.key in STEPS)) return;
      event.preventDefault();
      radios.at((index + STEPS[event.key]) % radios.length).focus();
    };
  });
}
"""

_component = st.components.v2.component("foolscope_gallery", css=_CSS, js=_JS)


class Item(TypedDict):
    """A picture of the gallery: its name, its label, the address of its thumbnail, and its group."""

    name: str
    label: str
    url: str
    group: Group


def gallery(items: Sequence[Item], chosen: str | None, key: str, strip: bool = False) -> str | None:
    """Show ``items``, a group at a time in the order of the items; return the name just picked, else None.

    ``strip``: all in one line, which scrolls.
    """
    headings = {"mistakes": say("Honest mistakes")}
    # A list, because Streamlit looks for data frames in a bare dict, which imports pandas.
    facts = {"items": list(items), "headings": headings, "chosen": chosen, "strip": strip}
    result = _component(
        key=key, data=[facts | {"label": say("Sample pictures")}], on_picked_change=lambda: None
    )
    return str(result.picked) if result.picked else None
