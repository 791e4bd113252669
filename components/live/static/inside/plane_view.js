import { element, mark } from "../element.js";
import { percent, two } from "../numbers.js";
import { say } from "../words.js";
import { plain, ticks } from "./svg_chart.js";

/** Okabe and Ito's colours, told apart by everybody, and three of Tol's. */
export const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#56b4e9", "#d55e00", "#882255", "#44aa99", "#999933"];
export const REST = "#8a8a8a";
const CLIPPED = 0.01;
const UNSURE = 0.3;
const SLIP = 5;

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** One network's plane on a canvas: drawn while it comes, dragged, and asked for a class. */
export class PlaneView {
  /** `colour(class index)` of this network; `moved(window)` when somebody pans or zooms; `told(text)` what is under the pointer. */
  constructor({ name, colour, label, moved, told }) {
    Object.assign(this, { colour, label, moved, told, grid: null });
    this.canvas = element("canvas", { tabindex: "0", role: "img", "data-test": "plane-canvas" });
    this.title = element("h4", {}, name);
    this.counts = element("p", { class: "small", "data-test": "plane-counts" });
    this.legend = element("ul", { class: "class-list", "data-test": "plane-legend", "aria-label": say("The classes in the plane") });
    this.root = element("figure", { class: "plane" }, this.title, this.canvas, this.counts, this.legend);
    this.#listen();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  /** Another window or plane: `plan` says where the points are, `grid` is what comes to be known. */
  begin(plan, grid) {
    Object.assign(this, { plan, grid, window: plan.window, view: plan.window });
    this.draw();
  }

  /** Draw before long: many answers come between two frames of the screen. */
  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const { canvas, plan } = this;
    if (!plan || !canvas.clientWidth) return;
    const ratio = devicePixelRatio || 1;
    const side = canvas.clientWidth;
    if (canvas.width !== Math.round(side * ratio)) canvas.width = canvas.height = Math.round(side * ratio);
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, side, side);
    const style = getComputedStyle(canvas);
    c.font = `12px ${style.fontFamily}`;
    if (this.grid?.shown) this.#cells(c, side);
    if (this.grid?.done) this.#clipping(c, side);
    this.#axes(c, side);
    if (this.grid?.done) this.#names(c, side);
    this.#points(c, side);
  }

  #x(value, side) {
    const [x, , half] = this.view;
    return ((value - x + half) / (2 * half)) * side;
  }

  #y(value, side) {
    const [, y, half] = this.view;
    return side - ((value - y + half) / (2 * half)) * side;
  }

  #cells(c, side) {
    const { cells } = this.grid.shown;
    const n = cells + 1;
    const picture = new ImageData(n, n);
    const { labels, p } = this.grid.shown;
    const colours = new Map();
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < n; column++) {
        const at = this.grid.corner(row, column);
        const label = labels[at];
        if (label < 0) continue;
        if (!colours.has(label)) colours.set(label, rgb(this.colour(label)));
        const strength = UNSURE + (1 - UNSURE) * p[at];
        const colour = colours.get(label);
        const place = 4 * ((cells - row) * n + column);
        for (let i = 0; i < 3; i++) picture.data[place + i] = 255 + (colour[i] - 255) * strength;
        picture.data[place + 3] = 255;
      }
    }
    this.buffer ??= document.createElement("canvas");
    this.buffer.width = this.buffer.height = n;
    this.buffer.getContext("2d").putImageData(picture, 0, 0);
    const [x, y, half] = this.window;
    const cell = (2 * half) / cells;
    const [left, right] = [x - half - cell / 2, x + half + cell / 2].map((value) => this.#x(value, side));
    const top = this.#y(y + half + cell / 2, side);
    c.imageSmoothingEnabled = false;
    c.drawImage(this.buffer, left, top, right - left, right - left);
  }

  /** The name of each class inside it, where there is room: nobody has to tell colours apart. */
  #names(c, side) {
    const { cells } = this.grid.done;
    if (this.named?.grid !== this.grid.done) this.named = { grid: this.grid.done, places: this.grid.middles() };
    const [x, y, half] = this.window;
    const unit = side / cells;
    c.textAlign = "center";
    c.textBaseline = "middle";
    for (const { label, row, column, depth } of this.named.places) {
      const text = this.label(label);
      const room = 2 * depth * unit * (half / this.view[2]);
      const width = c.measureText(text).width / 2 + 3;
      if (room < 26 || room < width) continue;
      const cell = (2 * half) / cells;
      const middle = this.#x(x - half + column * cell, side);
      if (middle < 0 || middle > side) continue;
      this.#write(c, text, Math.min(Math.max(middle, width), side - width), this.#y(y - half + row * cell, side));
    }
  }

  /** A dashed line around the points of which hardly a value is clipped. */
  #clipping(c, side) {
    const { cells, clipped } = this.grid.done;
    const n = cells + 1;
    const [x, y, half] = this.window;
    const cell = (2 * half) / cells;
    const beyond = (row, column) => clipped[row * n + column] > CLIPPED;
    c.beginPath();
    for (let row = 0; row < n; row++) {
      for (let column = 0; column < n; column++) {
        const [px, py] = [x - half + column * cell, y - half + row * cell];
        if (column < cells && beyond(row, column) !== beyond(row, column + 1)) this.#edge(c, side, px + cell / 2, py - cell / 2, px + cell / 2, py + cell / 2);
        if (row < cells && beyond(row, column) !== beyond(row + 1, column)) this.#edge(c, side, px - cell / 2, py + cell / 2, px + cell / 2, py + cell / 2);
      }
    }
    c.setLineDash([3, 3]);
    c.lineWidth = 1;
    c.strokeStyle = "rgb(0 0 0 / 0.75)";
    c.stroke();
    c.setLineDash([]);
  }

  #edge(c, side, x0, y0, x1, y1) {
    c.moveTo(this.#x(x0, side), this.#y(y0, side));
    c.lineTo(this.#x(x1, side), this.#y(y1, side));
  }

  #axes(c, side) {
    const [x, y, half] = this.view;
    c.textBaseline = "alphabetic";
    for (const at of ticks(x - half, x + half, 4)) this.#tick(c, plain(at), this.#x(at, side), side - 5, "center", side);
    for (const at of ticks(y - half, y + half, 4)) this.#tick(c, plain(at), 4, this.#y(at, side) + 4, "left", side);
  }

  #tick(c, text, x, y, align, side) {
    if (x < 0 || x > side || y < 14 || (align === "center" && (x < 30 || x > side - 14)) || (align === "left" && y > side - 16)) return;
    c.textAlign = align;
    this.#write(c, text, x, y);
  }

  #write(c, text, x, y) {
    c.lineWidth = 3;
    c.strokeStyle = "rgb(255 255 255 / 0.85)";
    c.strokeText(text, x, y);
    c.fillStyle = "#111";
    c.fillText(text, x, y);
  }

  #points(c, side) {
    const { adversarial, third, names } = this.plan;
    const places = [[[0, 0], names.original], [adversarial, names.adversarial], [third, names.third]];
    const [from, to] = [[0, 0], adversarial].map(([x, y]) => [this.#x(x, side), this.#y(y, side)]);
    c.lineWidth = 1.5;
    c.strokeStyle = "#111";
    c.beginPath();
    c.moveTo(...from);
    c.lineTo(...to);
    c.stroke();
    const near = to[0] - from[0] < 70; // then the two names would lie over each other
    places.forEach(([[x, y], name], index) => this.#point(c, side, this.#x(x, side), this.#y(y, side), name, index, near && index === 0));
  }

  #point(c, side, x, y, name, index, before) {
    const inside = x >= 6 && x <= side - 6 && y >= 6 && y <= side - 6;
    const [px, py] = [x, y].map((value) => Math.min(Math.max(value, 9), side - 9));
    c.beginPath();
    if (!inside) arrowHead(c, px, py, Math.atan2(y - py, x - px));
    else if (index === 1) diamond(c, px, py);
    else c.arc(px, py, index ? 4 : 5.5, 0, 2 * Math.PI);
    c.fillStyle = index === 1 ? "#111" : "#fff";
    c.strokeStyle = "#111";
    c.lineWidth = 2;
    c.fill();
    c.stroke();
    const right = px > 0.7 * side || (before && px > 0.2 * side);
    c.textAlign = right ? "right" : "left";
    c.textBaseline = "alphabetic";
    this.#write(c, name, px + (right ? -10 : 10), py < 30 ? py + 16 : py - 9);
  }

  // ---- pan, zoom, ask ------------------------------------------------------------------

  #listen() {
    const { canvas } = this;
    canvas.onpointerdown = (event) => this.#grip(event);
    canvas.onpointermove = (event) => this.#drag(event);
    canvas.onpointerup = canvas.onpointercancel = () => this.#drop();
    canvas.onpointerleave = () => !this.held && this.told("");
    canvas.ondblclick = (event) => this.#zoomAt(event, 0.5);
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.onkeydown = (event) => this.#key(event);
  }

  #place({ offsetX, offsetY }) {
    const [x, y, half] = this.view;
    const side = this.canvas.clientWidth;
    return [x - half + (2 * half * offsetX) / side, y + half - (2 * half * offsetY) / side];
  }

  #grip(event) {
    if (!this.plan || event.button) return;
    this.held = { x: event.clientX, y: event.clientY, view: this.view, dragged: false };
  }

  #drag(event) {
    if (!this.plan) return;
    if (!this.held) return this.#tell(event);
    const [dx, dy] = [event.clientX - this.held.x, event.clientY - this.held.y];
    if (!this.held.dragged && Math.hypot(dx, dy) < SLIP) return;
    if (!this.held.dragged) this.canvas.setPointerCapture(event.pointerId);
    this.held.dragged = true;
    const [x, y, half] = this.held.view;
    const unit = (2 * half) / this.canvas.clientWidth;
    this.view = [x - dx * unit, y + dy * unit, half];
    this.draw();
  }

  #drop() {
    const { held } = this;
    this.held = null;
    if (held?.dragged) this.moved(this.view);
  }

  #wheel(event) {
    if (document.activeElement !== this.canvas && !event.ctrlKey && (this.canvas.getRootNode().activeElement ?? null) !== this.canvas) return;
    event.preventDefault();
    this.#zoomAt(event, event.deltaY > 0 ? 1.25 : 0.8);
  }

  #zoomAt(event, factor) {
    if (!this.plan) return;
    const [px, py] = this.#place(event);
    const [x, y, half] = this.view;
    this.view = [px + (x - px) * factor, py + (y - py) * factor, half * factor];
    this.draw();
    this.moved(this.view);
  }

  #key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const factor = { "+": 0.5, "=": 0.5, "-": 2 }[event.key];
    if (!this.plan || event.ctrlKey || event.metaKey || (!(event.key in steps) && !factor)) return;
    event.preventDefault();
    event.stopPropagation(); // the arrows move through the run elsewhere
    const [x, y, half] = this.view;
    const [dx, dy] = steps[event.key] ?? [0, 0];
    this.view = [x + (dx * half) / 2, y + (dy * half) / 2, half * (factor ?? 1)];
    this.draw();
    this.moved(this.view);
  }

  #tell(event) {
    const shown = this.grid?.shown;
    if (!shown) return;
    const [x, y] = this.#place(event);
    const [wx, wy, half] = this.window;
    const [column, row] = [x - wx, y - wy].map((value) => Math.round(((value + half) / (2 * half)) * shown.cells));
    if (Math.min(row, column) < 0 || Math.max(row, column) > shown.cells) return this.told("");
    const at = this.grid.corner(row, column);
    if (shown.labels[at] < 0) return this.told("");
    const facts = { x: two(x), y: two(y), label: this.label(shown.labels[at]), percent: percent(shown.p[at]) };
    this.told(shown.asked[at] ? say("At ({x}, {y}): {label}, {percent}", facts) : say("At ({x}, {y}): {label}, about {percent}, filled in between its neighbours", facts));
  }

  /** What the canvas shows, for those who cannot see it. */
  describe(text) {
    mark(this.canvas, "aria-label", text);
  }
}

function diamond(c, x, y) {
  c.moveTo(x, y - 7);
  c.lineTo(x + 7, y);
  c.lineTo(x, y + 7);
  c.lineTo(x - 7, y);
  c.closePath();
}

function arrowHead(c, x, y, turn) {
  for (const [angle, length] of [[0, 8], [2.5, 8], [-2.5, 8]]) c.lineTo(x + length * Math.cos(turn + angle), y + length * Math.sin(turn + angle));
  c.closePath();
}
