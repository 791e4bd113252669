import { element } from "./element.js";
import { fit, spread } from "./labels.js";

// Okabe and Ito's colours, those first that can be told from the accent and the page.
const ON_LIGHT = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const ON_DARK = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00"];
const GRID = 0.13;
const QUIET = 0.64;
const DOT = 4;

/**
 * Lines over a common axis, named at their ends. A series is {label, points: [[x, y, filled?]], color?,
 * dashed?, dots?}; x and y in the axis's own units, `x` and `y` axes {end, ticks: [{at, text}], label}.
 */
export class Plot {
  constructor(title) {
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.context = this.canvas.getContext("2d");
    this.plot = element("div", { class: "plot" }, this.canvas);
    this.root = element("section", { class: "chart", "aria-label": title }, this.plot);
    this.observer = new ResizeObserver(() => this.repaint());
    this.observer.observe(this.plot);
    this.shown = null;
  }

  /** The colour of series number `index`. */
  color(index) {
    return this.colors?.[index % this.colors.length] ?? "gray";
  }

  readTheme() {
    const style = getComputedStyle(this.plot);
    this.ink = style.color;
    this.font = style.fontFamily;
    this.size = 0.8125 * parseFloat(style.fontSize);
    this.paper = getComputedStyle(this.plot.closest(".foolscope") ?? this.plot).getPropertyValue("--paper") || "#fff";
    this.context.fillStyle = this.paper.trim();
    const value = String(this.context.fillStyle);
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16));
    this.colors = 0.3 * r + 0.59 * g + 0.11 * b < 128 ? ON_DARK : ON_LIGHT;
    this.repaint();
  }

  show(series, x, y) {
    this.shown = { series, x, y };
    this.repaint();
  }

  repaint() {
    if (this.shown && this.ink && this.plot.isConnected) this.#paint();
  }

  destroy() {
    this.observer.disconnect();
  }

  #paint() {
    const { context: c } = this;
    const { series, x, y } = this.shown;
    this.#measure();
    if (this.box.width < 60) return;
    c.clearRect(0, 0, this.box.width, this.box.height);
    c.font = `${this.size}px ${this.font}`;
    this.#axes(x, y);
    const ends = series.map((line, index) => this.#line(line, index)).filter(Boolean);
    this.#names(ends);
  }

  #measure() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const right = Math.min(11 * this.size, Math.max(6.5 * this.size, 0.2 * width));
    this.box = { width, height, left: 4.6 * this.size, right: width - right, top: 0.9 * this.size, bottom: height - 2 * this.size };
  }

  #x(value) {
    return this.box.left + ((this.box.right - this.box.left) * value) / this.shown.x.end;
  }

  #y(value) {
    return this.box.bottom - ((this.box.bottom - this.box.top) * value) / this.shown.y.end;
  }

  #axes(x, y) {
    const { context: c, box } = this;
    c.fillStyle = c.strokeStyle = this.ink;
    c.lineWidth = 1;
    c.textBaseline = "middle";
    c.textAlign = "right";
    for (const { at, text } of y.ticks) {
      const height = Math.round(this.#y(at)) + 0.5;
      c.globalAlpha = at === 0 ? 0.4 : GRID;
      this.#stroke([[box.left, height], [box.right, height]]);
      c.globalAlpha = QUIET;
      c.fillText(text, box.left - 0.6 * this.size, height);
    }
    c.textBaseline = "alphabetic";
    c.textAlign = "center";
    for (const { at, text } of x.ticks) c.fillText(text, this.#x(at), box.height - 0.35 * this.size);
    c.textAlign = "left";
    c.fillText(x.label, box.right + 1.2 * this.size, box.height - 0.35 * this.size);
    c.globalAlpha = 1;
  }

  #stroke(points) {
    this.context.beginPath();
    points.forEach(([x, y], i) => (i ? this.context.lineTo(x, y) : this.context.moveTo(x, y)));
    this.context.stroke();
  }

  #line({ label, points, color, dashed, dots }, index) {
    const { context: c } = this;
    const seen = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
    if (!seen.length) return null;
    const paint = color ?? this.color(index);
    c.strokeStyle = c.fillStyle = paint;
    c.lineWidth = 2;
    c.lineJoin = "round";
    c.setLineDash(dashed ? [5, 4] : []);
    this.#stroke(seen.map(([x, y]) => [this.#x(x), this.#y(y)]));
    c.setLineDash([]);
    if (dots) seen.forEach(([x, y, filled]) => this.#dot(this.#x(x), this.#y(y), paint, filled));
    const [x, y] = seen.at(-1);
    return { label, color: paint, x: this.#x(x), y: this.#y(y), must: true, weight: 1 };
  }

  #dot(x, y, color, filled) {
    const { context: c } = this;
    c.beginPath();
    c.arc(x, y, DOT, 0, 2 * Math.PI);
    c.fillStyle = filled ? color : this.paper;
    c.fill();
    c.stroke();
  }

  #names(ends) {
    const { context: c, box } = this;
    c.textAlign = "left";
    c.textBaseline = "middle";
    for (const end of spread(ends, 1.25 * this.size, box.top + 0.3 * this.size, box.bottom - 0.5 * this.size)) {
      const start = box.right + 1.2 * this.size;
      c.strokeStyle = end.color;
      c.lineWidth = 1;
      c.globalAlpha = 0.6;
      this.#stroke([[end.x + 3, end.y], [start - 4, end.place]]);
      c.globalAlpha = 1;
      c.fillStyle = this.ink;
      c.fillText(fit(c, end.label, box.width - start - 2), start, end.place);
    }
  }
}

/** Ticks of a percent axis. */
export const PERCENT = { end: 1, ticks: [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, text: `${100 * at} %` })) };

/** An axis from 0 to at least `end` with at most `room` round ticks; `text(at)` names one. */
export function axis(end, label, room = 6, text = (at) => String(at)) {
  const rough = Math.max(end, 1e-9) / room;
  const power = 10 ** Math.floor(Math.log10(rough));
  const stride = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const ticks = [];
  for (let k = 0; k * stride <= end * 1.001; k++) ticks.push({ at: k * stride, text: text(Number((k * stride).toPrecision(6))) });
  return { end: Math.max(end, 1e-9), ticks, label };
}
