import { Curves } from "./curves.js";
import { element, mark, write } from "./element.js";
import { fit, spread } from "./labels.js";
import { exactPercent } from "./numbers.js";
import { scales, stepTicks } from "./scales.js";
import { Segmented } from "./segmented.js";
import { say } from "./words.js";

// Okabe and Ito's colours, without those that vanish on the page or sit beside the accent.
const ON_LIGHT = ["#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const ON_DARK = ["#56b4e9", "#009e73", "#cc79a7", "#e69f00", "#f0e442"];
const THUMB = 14;
const LABELLED_PEAK = 0.03;
const QUIET = 0.64;
const GRID = 0.13;
const TOOLTIP_ROWS = 8;

/** Probability by step on a canvas; its time axis is the scrubber. `scrubbed(step)` on a drag. */
export class Chart {
  constructor({ scrubbed }) {
    this.scrubbed = scrubbed;
    this.trajectory = null;
    this.step = 0;
    this.end = 0;
    this.hover = null;
    this.curves = new Curves();
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.context = this.canvas.getContext("2d");
    this.range = element("input", {
      type: "range", class: "scrub", min: 0, max: 1, value: 0, step: 1,
      "aria-label": say("Step"), "data-test": "scrub",
    });
    this.tooltip = element("div", { class: "tooltip", "aria-hidden": "true", hidden: true });
    this.plot = element("div", { class: "plot" }, this.canvas, this.range, this.tooltip);
    this.scale = new Segmented(say("Scale of the curve"), scaleChoices(), () => this.repaint());
    const head = element("div", { class: "head" }, element("h3", {}, say("probability by step")), this.scale.root);
    this.root = element("section", { class: "chart", "data-test": "chart", "aria-label": say("Probability by step") }, head, this.plot);
    this.#listen();
    this.observer = new ResizeObserver(() => this.repaint());
    this.observer.observe(this.plot);
  }

  /** Read the page's theme again. */
  readTheme() {
    const style = getComputedStyle(this.plot);
    this.ink = style.color;
    this.accent = getComputedStyle(this.range).color;
    this.font = style.fontFamily;
    this.size = 0.8125 * parseFloat(style.fontSize);
    this.paper = getComputedStyle(this.tooltip).backgroundColor;
    this.others = this.#bright(this.paper) ? ON_LIGHT : ON_DARK;
    this.repaint();
  }

  /**
   * Show `trajectory` with the marker at `step` on an axis of `total` steps; nothing is done twice. While it is
   * `growing` lines are put on piece by piece, which leaves faint joints; once it rests they are drawn in one go.
   */
  show(trajectory, step, total, growing) {
    const now = { trajectory, step, total, growing, version: trajectory.version };
    if (Object.entries(now).every(([name, value]) => this[name] === value)) return;
    Object.assign(this, now, { end: Math.max(1, total) });
    if (!this.box) this.#measure();
    this.#paint();
  }

  /** Bring the scrubber to the step that is shown. Its thumb is painted: to move the real one costs a layout. */
  settle() {
    const { range, trajectory, step, total } = this;
    mark(range, "max", this.end);
    if (range.value !== String(step)) range.value = step;
    mark(range, "aria-valuetext", say("step {step} of {total}", { step, total }));
    range.disabled = trajectory.count < 2;
  }

  /** Draw again at the size that the plot has now: to ask for it at every step would lay out the page twice. */
  repaint() {
    if (!this.trajectory || !this.plot.isConnected) return;
    this.#measure();
    this.#paint();
  }

  destroy() {
    this.observer.disconnect();
  }

  #listen() {
    const at = (event) => this.#stepAt(event.clientX - this.canvas.getBoundingClientRect().left);
    this.range.oninput = () => {
      const step = Math.min(Number(this.range.value), this.trajectory.last);
      this.range.value = step;
      this.scrubbed(step);
    };
    this.canvas.onpointerdown = (event) => {
      if (!this.trajectory?.count || event.button) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.scrubbed(at(event));
    };
    this.canvas.onpointermove = (event) => {
      if (!this.trajectory?.count) return;
      this.hover = at(event);
      this.pointerY = event.offsetY;
      if (event.buttons & 1) this.scrubbed(this.hover);
      this.repaint();
    };
    this.canvas.onpointerleave = this.canvas.onpointercancel = () => {
      this.hover = null;
      this.repaint();
    };
    this.canvas.onpointerup = (event) => {
      if (event.pointerType !== "mouse") this.canvas.onpointerleave();
    };
  }

  #bright(color) {
    this.context.fillStyle = color;
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(String(this.context.fillStyle).slice(i, i + 2), 16));
    return !(0.3 * r + 0.59 * g + 0.11 * b < 128);
  }

  #measure() {
    const { clientWidth: width, clientHeight: height } = this.plot;
    const ratio = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    this.ratio = ratio;
    const right = Math.min(11 * this.size, Math.max(6.5 * this.size, 0.22 * width));
    this.box = {
      width, height,
      left: 4.6 * this.size, right: width - right,
      top: 0.8 * this.size, bottom: height - 1.9 * this.size,
    };
    const { left, bottom } = this.box;
    Object.assign(this.range.style, { left: `${left}px`, width: `${this.box.right - left + THUMB}px`, top: `${bottom}px` });
  }

  #x(step) {
    return this.box.left + ((this.box.right - this.box.left) * step) / this.end;
  }

  #y(logP) {
    const height = scales[this.scale.value].height(logP);
    return this.box.bottom - (this.box.bottom - this.box.top) * height;
  }

  #stepAt(x) {
    const share = (x - this.box.left) / (this.box.right - this.box.left);
    return Math.min(this.trajectory.last, Math.max(0, Math.round(share * this.end)));
  }

  #paint() {
    const { context: c, box, ratio } = this;
    if (box.width < 40 || !this.ink) return;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, box.width, box.height);
    c.font = `${this.size}px ${this.font}`;
    c.lineJoin = "round";
    this.#grid();
    if (this.trajectory.count) {
      const lines = this.#lines();
      this.#turn();
      this.#drawLines(lines);
      this.#marker();
      this.#labels(lines);
      if (this.trajectory.count > 1) this.#thumb();
    }
    this.#tell();
  }

  #grid() {
    const { context: c, box } = this;
    c.fillStyle = c.strokeStyle = this.ink;
    c.lineWidth = 1;
    c.textBaseline = "middle";
    c.textAlign = "right";
    const sparse = box.bottom - box.top < 13 * this.size;
    for (const { at, text, minor } of scales[this.scale.value].ticks) {
      const y = Math.round(box.bottom - (box.bottom - box.top) * at) + 0.5;
      c.globalAlpha = at === 0 ? 0.4 : GRID;
      this.#stroke([[box.left, y], [box.right, y]]);
      c.globalAlpha = QUIET;
      if (!(minor && sparse)) c.fillText(text, box.left - 0.6 * this.size, y);
    }
    if (this.trajectory.count > 1) this.#track();
    c.textAlign = "center";
    c.textBaseline = "alphabetic";
    const ticks = stepTicks(this.end, Math.min(8, (box.right - box.left) / (5 * this.size)));
    const known = this.trajectory.run ? ticks : [];
    for (const step of known) c.fillText(String(step), this.#x(step), box.height - 0.25 * this.size);
    c.textAlign = "left";
    c.fillText(say("step"), box.right + 1.6 * this.size, box.height - 0.25 * this.size);
    c.globalAlpha = 1;
  }

  #track() {
    const { context: c, box } = this;
    c.globalAlpha = 0.3;
    c.fillRect(box.left - THUMB / 2, box.bottom - 1, box.right - box.left + THUMB, 2);
    c.globalAlpha = QUIET;
  }

  #stroke(points) {
    this.context.beginPath();
    points.forEach(([x, y], i) => (i ? this.context.lineTo(x, y) : this.context.moveTo(x, y)));
    this.context.stroke();
  }

  /** Every class as {position, role, color, width, peak}, the important ones last, on top. */
  #lines() {
    const { trajectory } = this;
    const newest = trajectory.classes[trajectory.winner(trajectory.last)];
    const targeted = trajectory.classes.some(({ role }) => role === "target");
    const lines = trajectory.classes.map(({ position, label, role }) => {
      const peak = trajectory.peak(position);
      const main = role === "target" || (!targeted && role === "other" && newest?.position === position);
      if (role === "original") return { position, label, peak, color: this.ink, width: 2.5, rank: 2, alpha: 1 };
      if (main) return { position, label, peak, color: this.accent, width: 2.5, rank: 3, alpha: 1 };
      const color = this.others[position % this.others.length];
      return { position, label, peak, color, width: 1.4, rank: peak > LABELLED_PEAK ? 1 : 0, alpha: 1 };
    });
    if (this.scale.value === "probability") {
      for (const line of lines) if (line.rank === 0) Object.assign(line, { color: this.ink, alpha: 0.3, width: 1 });
    }
    return lines.sort((a, b) => a.rank - b.rank);
  }

  #drawLines(lines) {
    const { context: c, curves, box, ratio, trajectory } = this;
    const place = (logP, step) => [this.#x(step), this.#y(logP)];
    curves.update(trajectory, lines, { ...box, ratio }, place, [this.end, this.scale.value, this.size, this.growing]);
    c.setTransform(1, 0, 0, 1, 0, 0); // from pixel to pixel
    c.drawImage(curves.canvas, 0, 0);
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** A dotted line where the network changed its mind for the last time. */
  #turn() {
    const { context: c, trajectory, box } = this;
    if (trajectory.winner(trajectory.last) === 0) return;
    const x = Math.round(this.#x(trajectory.since(trajectory.last))) + 0.5;
    c.strokeStyle = this.accent;
    c.globalAlpha = 0.7;
    c.lineWidth = 1;
    c.setLineDash([2, 3]);
    this.#stroke([[x, box.top], [x, box.bottom]]);
    c.setLineDash([]);
    c.globalAlpha = 1;
  }

  #marker() {
    const { context: c, trajectory, box } = this;
    const x = this.#x(this.step);
    c.strokeStyle = c.fillStyle = this.ink;
    c.lineWidth = 1;
    c.globalAlpha = 0.55;
    this.#stroke([[x, box.top], [x, box.bottom]]);
    c.globalAlpha = 0.4;
    c.lineWidth = 3;
    this.#stroke([[box.left, box.bottom + 0.5], [x, box.bottom + 0.5]]);
    c.globalAlpha = 1;
    const winner = trajectory.winner(this.step);
    c.fillStyle = winner === 0 ? this.ink : this.accent;
    c.strokeStyle = this.paper;
    c.lineWidth = 2;
    c.beginPath();
    c.arc(x, this.#y(trajectory.logProbability(winner, this.step)), 5, 0, 2 * Math.PI);
    c.fill();
    c.stroke();
  }

  #thumb() {
    const { context: c, box } = this;
    c.fillStyle = this.ink;
    c.strokeStyle = this.paper;
    c.lineWidth = 2;
    c.beginPath();
    c.arc(this.#x(this.step), box.bottom, THUMB / 2 - 1, 0, 2 * Math.PI);
    c.fill();
    c.stroke();
  }

  #labels(lines) {
    const { context: c, trajectory, box } = this;
    const x = this.#x(trajectory.last);
    const all = this.scale.value !== "probability";
    const near = this.#nearest(lines);
    const labels = lines
      .filter((line) => line.rank > 0 || all || line === near)
      .map((line) => ({
        ...line,
        y: this.#y(trajectory.logProbability(line.position, trajectory.last)),
        must: line.rank > 1,
        weight: 10 * line.rank + (line === near ? 100 : 0) + line.peak,
      }))
      .filter(({ y }) => Number.isFinite(y));
    const gap = 1.2 * this.size;
    c.textAlign = "left";
    c.textBaseline = "middle";
    for (const label of spread(labels, gap, box.top + 0.3 * this.size, box.bottom - 0.7 * this.size)) {
      const start = x + 1.3 * this.size;
      c.strokeStyle = label.color;
      c.lineWidth = Math.min(2, label.width);
      c.globalAlpha = label.alpha;
      this.#stroke([[x + 3, label.y], [start - 4, label.place]]);
      c.globalAlpha = label.rank > 1 ? 1 : 0.8;
      c.fillStyle = label.rank === 3 ? this.accent : this.ink;
      c.font = `${label.rank > 1 ? 600 : 400} ${this.size}px ${this.font}`;
      const text = fit(c, label.label, box.width - start - 2);
      c.lineWidth = 4;
      c.strokeStyle = this.paper;
      c.strokeText(text, start, label.place);
      c.fillText(text, start, label.place);
    }
    c.globalAlpha = 1;
  }

  #nearest(lines) {
    if (this.hover == null || !this.pointerY) return null;
    const distance = ({ position }) =>
      Math.abs(this.#y(this.trajectory.logProbability(position, this.hover)) - this.pointerY);
    return lines.reduce((best, line) => (distance(line) < distance(best) ? line : best), lines[0]);
  }

  /** The box beside the pointer: every class at that step. */
  #tell() {
    const step = this.hover;
    this.tooltip.hidden = step == null || !this.trajectory.count;
    if (this.tooltip.hidden) return;
    const top = this.trajectory.top(step);
    const rows = top.slice(0, TOOLTIP_ROWS);
    while (this.tooltip.children.length < TOOLTIP_ROWS + 2) this.tooltip.append(element("div", {}, element("span"), element("b")));
    const [head, ...lines] = this.tooltip.children;
    write(head.firstChild, say("step {step}", { step }));
    lines.forEach((line, i) => {
      const row = rows[i];
      const more = i === TOOLTIP_ROWS && top.length > TOOLTIP_ROWS ? say("and {count} more", { count: top.length - TOOLTIP_ROWS }) : "";
      line.hidden = !row && !more;
      write(line.firstChild, row?.label ?? more);
      write(line.lastChild, row ? exactPercent(row.probability) : "");
    });
    const x = this.#x(step);
    const left = x > this.box.width / 2 ? x - this.tooltip.offsetWidth - 14 : x + 14;
    this.tooltip.style.transform = `translate(${Math.max(0, left)}px, 0)`;
  }
}

const scaleChoices = () => [
  { value: "probability", text: say("probability"), title: say("From 0 to 100 %, evenly") },
  { value: "log", text: say("log"), title: say("Every line down is ten times less likely") },
  { value: "logit", text: say("logit"), title: say("Stretched at both ends, so that 99 % and 99.9 % can be told apart") },
];
