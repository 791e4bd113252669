import { element, mark, write } from "../element.js";
import { percent } from "../numbers.js";
import { say } from "../words.js";

const GAP = 6;
const NARROW = 700;
const LEAST = { width: 96, height: 92 };
const SHAPE = 1.5;
const STANDINGS = {
  none: () => "",
  waiting: ({ place }) => (place == null ? say("waiting") : say("waiting, place {place}", { place })),
  running: ({ step, total }) => say("step {step} of {total}", { step, total }),
  paused: () => say("paused"),
  interrupted: () => say("interrupted"),
  failed: () => say("failed"),
  over: ({ fooled }) => (fooled ? say("fooled") : say("not fooled")),
};

/** What a member is called on the wall: the name, or a number where names are hidden. */
export const called = ({ name, number }) => name || say("No. {number}", { number });

/** Where a tile's run stands, in words. */
export function standing(tile) {
  return tile.state === "none" ? say("nothing run yet") : STANDINGS[tile.state](tile);
}

/** Everybody's newest run as a small curve; `open(id)` when one is chosen. */
export class Tiles {
  constructor({ open }) {
    this.open = open;
    this.tiles = new Map();
    this.dirty = new Set();
    this.fooledFirst = false;
    this.root = element("ul", { class: "curve-tiles", "data-test": "tiles", "aria-label": say("Everybody's newest run") });
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#repaint());
    matchMedia("(min-resolution: 1.5dppx)").addEventListener("change", () => this.#repaint());
  }

  hear({ tiles, gone, all }) {
    const left = all ? [...this.tiles.keys()].filter((id) => !tiles.some((tile) => tile.id === id)) : gone;
    for (const id of left) this.#remove(id);
    for (const data of tiles) this.#take(data);
    if (left.length || tiles.length) this.#order();
    this.fit();
  }

  get(id) {
    return this.tiles.get(id)?.data;
  }

  /** The tile so many places after `id`, in the order in which they are shown. */
  beside(id, by) {
    const at = this.order.indexOf(id) + by;
    return this.order[(at + this.order.length) % this.order.length];
  }

  sort(fooledFirst) {
    this.fooledFirst = fooledFirst;
    this.#order();
  }

  focus(id) {
    const tile = this.tiles.get(id);
    if (!tile) return;
    this.#reach(id);
    tile.root.focus();
  }

  /** Choose how many tiles stand side by side, so that all are on the screen. */
  fit() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (!this.tiles.size || width < 50 || this.root.hidden) return;
    const places = roomFor(this.tiles.size);
    const cell = innerWidth < NARROW ? scrolled(width) : best(places, width, height);
    const size = `${cell.columns} ${cell.width} ${cell.height}`;
    if (size === this.size) return;
    this.size = size;
    this.cell = sizes(cell);
    const { font, head, foot } = this.cell;
    mark(this.root, "style", `--columns:${cell.columns};--cell:${cell.height}px;--font:${font}px;--head:${head}px;--foot:${foot}px`);
    mark(this.root, "data-tiny", !foot);
    this.#repaint();
  }

  #take(data) {
    let tile = this.tiles.get(data.id);
    if (!tile) {
      tile = new Tile(() => this.open(data.id));
      this.tiles.set(data.id, tile);
      this.root.append(tile.place);
    }
    tile.write(data);
    this.#draw(tile);
  }

  #remove(id) {
    this.tiles.get(id)?.place.remove();
    this.dirty.delete(this.tiles.get(id));
    this.tiles.delete(id);
  }

  /** In the order of joining, so that nobody's place changes; on request those who fooled it come first. */
  #order() {
    const rank = ({ ever }) => (this.fooledFirst && ever ? 0 : 1);
    const sorted = [...this.tiles.values()].map(({ data }) => data).sort((a, b) => rank(a) - rank(b) || a.number - b.number);
    this.order = sorted.map(({ id }) => id);
    this.order.forEach((id, i) => {
      const { style } = this.tiles.get(id).place;
      if (style.order !== String(i)) style.order = i;
    });
    if (!this.tiles.has(this.reached)) this.#reach(this.order[0]);
  }

  /** One tile is reached by the tabulator, the others from it by arrows. */
  #reach(id) {
    if (this.tiles.has(this.reached)) this.tiles.get(this.reached).root.tabIndex = -1;
    this.reached = id;
    if (this.tiles.has(id)) this.tiles.get(id).root.tabIndex = 0;
  }

  #key(event) {
    const columns = Number(this.size?.split(" ")[0] ?? 1);
    const at = this.order.findIndex((id) => this.tiles.get(id).root === event.target);
    const last = this.order.length - 1;
    const goals = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - columns, ArrowDown: at + columns, Home: 0, End: last };
    const goal = goals[event.key];
    if (at < 0 || goal == null || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (goal >= 0 && goal <= last) this.focus(this.order[goal]);
  }

  #repaint() {
    this.theme = null;
    for (const tile of this.tiles.values()) this.#draw(tile);
  }

  /** Draw what changed, all in one frame. */
  #draw(tile) {
    this.dirty.add(tile);
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (!this.cell) return;
      this.theme ??= theme(this.root);
      for (const changed of this.dirty) changed.draw(this.cell, this.theme);
      this.dirty.clear();
    });
  }
}

class Tile {
  constructor(open) {
    this.name = element("span", { class: "who" });
    this.canvas = element("canvas", { "aria-hidden": "true" });
    this.context = this.canvas.getContext("2d");
    this.label = element("span", { class: "tile-label" });
    this.number = element("span", { class: "tile-number" });
    this.standing = element("span", { class: "tile-standing" });
    this.root = element("button", { type: "button", class: "curve-tile", tabindex: -1, "data-test": "tile" },
      element("span", { class: "tile-head" }, element("span", { class: "ever", "aria-hidden": "true" }), this.name, this.standing),
      this.canvas, element("span", { class: "tile-foot" }, this.label, this.number));
    this.root.onclick = open;
    this.place = element("li", {}, this.root);
  }

  write(data) {
    this.data = data;
    const brief = data.state === "running" ? `${data.step}/${data.total}` : STANDINGS[data.state](data);
    const { label, probability, state, fooled, ever } = data;
    write(this.name, called(data));
    write(this.label, label ?? "");
    write(this.number, label ? percent(probability) : "");
    write(this.standing, brief);
    mark(this.root, "data-state", state);
    mark(this.root, "data-fooled", fooled);
    mark(this.root, "data-ever", ever);
    const now = label ? say("{label}, {percent}", { label, percent: percent(probability) }) : "";
    const before = ever && !fooled ? say("fooled it before") : "";
    mark(this.root, "aria-label", [called(data), standing(data), now, before].filter(Boolean).join("; "));
  }

  draw({ curve, large }, theme) {
    const { canvas, context: c, data } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(curve.width * ratio), Math.round(curve.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, curve.width, curve.height);
    const box = { left: 1, right: curve.width - 4, top: 3, bottom: curve.height - 3 };
    if (large) rule(c, box, theme);
    stroke(c, [[box.left, box.bottom + 1.5], [box.right, box.bottom + 1.5]], theme.line, 1);
    if (!data.at?.length) return;
    const end = Math.max(1, data.state === "over" || data.state === "interrupted" ? data.step : Math.max(data.total, data.step));
    const lines = data.curves.map((values) => values.map((value, i) => [
      box.left + ((box.right - box.left) * data.at[i]) / end, box.bottom - ((box.bottom - box.top) * value) / 1000]));
    const thick = large ? 3 : curve.height > 45 ? 2 : 1.5;
    lines.forEach((points, i) => {
      stroke(c, points, i ? theme.accent : theme.ink, thick);
      dot(c, points.at(-1), i ? theme.accent : theme.ink, thick);
    });
  }
}

function stroke(c, points, colour, width) {
  c.strokeStyle = colour;
  c.lineWidth = width;
  c.lineJoin = "round";
  c.beginPath();
  points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
  c.stroke();
}

function dot(c, [x, y], colour, thick) {
  c.fillStyle = colour;
  c.beginPath();
  c.arc(x, y, thick + 0.5, 0, 2 * Math.PI);
  c.fill();
}

/** Lines at 50 and 100 %, where there is room for them. */
function rule(c, { left, right, top, bottom }, { line, quiet, font }) {
  c.fillStyle = quiet;
  c.font = `13px ${font}`;
  c.textBaseline = "top";
  for (const share of [0.5, 1]) {
    const y = Math.round(bottom - (bottom - top) * share) + 0.5;
    stroke(c, [[left, y], [right, y]], line, 1);
    c.fillText(`${100 * share} %`, left, y + 3);
  }
}

function theme(root) {
  const style = getComputedStyle(root);
  const read = (name) => {
    root.style.setProperty("outline-color", `var(${name})`);
    return getComputedStyle(root).outlineColor;
  };
  const colours = { ink: read("--ink"), accent: read("--accent"), line: read("--line"), quiet: read("--quiet"), font: style.fontFamily };
  root.style.removeProperty("outline-color");
  return colours;
}

/** Places for so many people and a few more, so that the tiles do not change their size with everyone who joins. */
function roomFor(count) {
  if (count <= 4) return count;
  const step = count <= 24 ? 2 : count <= 100 ? 6 : 20;
  return Math.ceil(count / step) * step;
}

/** The columns for which the largest picture of a good shape fits into each cell. */
function best(places, width, height) {
  let chosen = null;
  for (let columns = 1; columns <= places; columns++) {
    const rows = Math.ceil(places / columns);
    const cell = { columns, width: Math.floor((width - GAP * (columns - 1)) / columns), height: Math.floor((height - GAP * (rows - 1)) / rows) };
    cell.fits = Math.min(cell.width / SHAPE, cell.height);
    if (!chosen || cell.fits > chosen.fits) chosen = cell;
  }
  return chosen;
}

/** On a narrow screen the page scrolls. */
function scrolled(width) {
  const columns = Math.max(1, Math.floor((width + GAP) / (LEAST.width + GAP)));
  return { columns, width: Math.floor((width - GAP * (columns - 1)) / columns), height: LEAST.height };
}

/** Sizes within a cell: of the text, the lines above and below the curve, and the curve. */
function sizes({ width, height }) {
  const font = Math.round(Math.min(30, Math.max(11, Math.min(width / 11, height / 6.5))));
  const padding = width < 90 ? 3 : Math.round(font / 2);
  const head = Math.round(1.35 * font);
  const foot = width >= 84 && height >= 74 ? Math.round(1.35 * font) : 0;
  const curve = { width: width - 2 * padding - 2, height: Math.max(8, height - 2 * padding - 2 - head - foot) };
  return { font, head, foot, curve, padding, large: curve.width > 420 && curve.height > 160 };
}
