"""A field to draw a digit in, with a finger, a pen or a mouse."""

from __future__ import annotations

import base64

import streamlit as st

from components.i18n.text import say

_CSS = """
.field { display: flex; flex-direction: column; gap: .5rem; width: fit-content; }
canvas { width: 224px; height: 224px; border-radius: 8px; touch-action: none; cursor: crosshair;
  background: #000; border: 1px solid var(--st-border-color); }
canvas:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.row { display: flex; gap: .5rem; }
button { font: inherit; padding: .3rem .8rem; border-radius: 6px; border: 1px solid var(--st-border-color);
  background: none; color: inherit; cursor: pointer; }
"""

# A stroke of two of 28 pixels, softened by the reduction, looks like the digits that networks are trained on.
_JS = """
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const say = (field) => {
    field.querySelector("canvas").setAttribute("aria-label", data.label);
    field.querySelector(".clear").textContent = data.clear;
  };
  const drawn = parentElement.querySelector(".field");
  if (drawn) return say(drawn);
  const field = document.createElement("div");
  field.className = "field";
  field.innerHTML = `<canvas width="280" height="280" tabindex="0" role="img"></canvas>
    <div class="row"><button type="button" class="clear"></button></div>`;
  parentElement.appendChild(field);
  const canvas = field.querySelector("canvas");
  say(field);
  const pen = canvas.getContext("2d");
  const clear = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, 280, 280); };
  clear();
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "#fff";
  pen.lineWidth = 24;
  let from = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * 280, ((event.clientY - box.top) / box.height) * 280];
  };
  const line = (to) => { pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke(); from = to; };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    from = place(event);
    line(from);
  });
  canvas.addEventListener("pointermove", (event) => { if (from) line(place(event)); });
  const done = () => {
    if (!from) return;
    from = null;
    const small = document.createElement("canvas");
    small.width = small.height = 28;
    const brush = small.getContext("2d");
    brush.imageSmoothingQuality = "high";
    brush.drawImage(canvas, 0, 0, 28, 28);
    setTriggerValue("drawn", small.toDataURL("image/png"));
  };
  canvas.addEventListener("pointerup", done);
  canvas.addEventListener("pointercancel", done);
  field.querySelector(".clear").addEventListener("click", clear);
}
"""

_component = st.components.v2.component("foolscope_drawing", css=_CSS, js=_JS)
START = "data:image/png;base64,"


def drawing(label: str, key: str) -> bytes | None:
    """Show the field, described by ``label``; return the drawing as a PNG of 28 x 28, white on black, right
    after a stroke, else None."""
    # A list, because Streamlit looks for data frames in a bare dict, which imports pandas.
    result = _component(key=key, data=[{"label": label, "clear": say("Clear")}], on_drawn_change=lambda: None)
    if not result.drawn or not str(result.drawn).startswith(START):
        return None
    return base64.b64decode(str(result.drawn)[len(START) :])
