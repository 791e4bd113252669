import { element } from "../element.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 460;
const HEIGHT = 240;
const BOX = { left: 52, right: 446, top: 12, bottom: 204 };

const svg = (tag, attributes, ...children) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value != null) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

/** A scale from [low, high] to pixels, evenly or, with `log`, by powers of ten. */
export function scale(low, high, from, to, log = false) {
  const f = log ? Math.log10 : (value) => value;
  const [a, b] = [f(low), f(high)];
  return (value) => from + ((f(value) - a) / (b - a || 1)) * (to - from);
}

/** Round numbers from `low` to `high`, about `count` of them. */
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const all = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9; n += 1) all.push(n * step);
  return all;
}

/** A tick's number as short as it can be: "20", "0.5", "−1". */
export const plain = (at) => String(+at.toPrecision(4)).replace("-", "−");

/** Powers of ten from `low` to `high`, at most seven. */
export function decades(low, high) {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const stride = Math.max(1, Math.ceil((last - first) / 6));
  const all = [];
  for (let e = first; e <= last; e += stride) all.push(10 ** e);
  return all;
}

/**
 * A chart with axes. `x` and `y`: {low, high, log?, label, ticks?: [{at, text}]}. `series`: {points: [[x, y]], name,
 * dashed?, dots?}, `bars`: [[left, right, height]], `marks`: vertical lines {at, text}. `spoken`: the chart in a sentence.
 */
export function chart({ x, y, series = [], bars = [], marks = [], spoken }) {
  const across = scale(x.low, x.high, BOX.left, BOX.right, x.log);
  const up = scale(y.low, y.high, BOX.bottom, BOX.top, y.log);
  const root = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": spoken, class: "svg-chart" });
  for (const { at, text } of y.ticks) {
    root.append(svg("line", { x1: BOX.left, x2: BOX.right, y1: up(at), y2: up(at), class: at === 0 ? "zero" : "grid" }));
    root.append(svg("text", { x: BOX.left - 6, y: up(at) + 4, "text-anchor": "end" }, text));
  }
  for (const { at, text } of x.ticks) root.append(svg("text", { x: across(at), y: BOX.bottom + 16, "text-anchor": "middle" }, text));
  if (!bars.length && x.low < 0 && x.high > 0) root.append(svg("line", { x1: across(0), x2: across(0), y1: BOX.top, y2: BOX.bottom, class: "zero" }));
  for (const [left, right, height] of bars) {
    const top = up(height);
    root.append(svg("rect", { x: across(left) + 0.5, width: Math.max(1, across(right) - across(left) - 1), y: top, height: BOX.bottom - top, class: "bar" }));
  }
  series.forEach(({ points, dashed, dots }, index) => {
    const known = points.filter(([a, b]) => Number.isFinite(across(a)) && Number.isFinite(up(b)));
    const path = known.map(([a, b]) => `${across(a).toFixed(1)},${up(b).toFixed(1)}`).join(" ");
    root.append(svg("polyline", { points: path, class: `series s${index}`, "stroke-dasharray": dashed ? "5 4" : null }));
    for (const [a, b, filled] of dots ? known : []) root.append(svg("circle", { cx: across(a), cy: up(b), r: 3.5, class: `dot s${index}`, "data-open": filled ? null : "" }));
  });
  for (const { at, text } of marks) {
    const place = across(at);
    const late = place > (BOX.left + BOX.right) / 2;
    root.append(svg("line", { x1: place, x2: place, y1: BOX.top, y2: BOX.bottom, class: "mark" }));
    root.append(svg("text", { x: place + (late ? -5 : 5), y: BOX.top + 10, "text-anchor": late ? "end" : "start", class: "mark-text" }, text));
  }
  root.append(svg("text", { x: BOX.right, y: HEIGHT - 4, "text-anchor": "end", class: "axis" }, x.label));
  const names = series.filter(({ name }) => name).map(({ name }, index) => element("li", {}, element("i", { class: `key s${index}` }), name));
  return element("figure", { class: "chart-figure" }, element("figcaption", { class: "chart-title" }, y.label), root, names.length ? element("ul", { class: "keys" }, ...names) : "");
}
