import { Canvas, SIDES, arrow, grey, line, paint, signed } from "./canvas.js";
import { element, write } from "./element.js";
import { unpack } from "./packed.js";

const views = new WeakMap();
const BOUNDARY = "#e66100";
/** How many units of distance the plane is wide. */
const SPAN = 13;
const CURVES = [
  ["test_error", "#d55e00", (value) => `${(100 * value).toFixed(2)} %`],
  ["train_error", "#cc79a7", (value) => `${(100 * value).toFixed(2)} %`],
  ["d_adv", "#0072b2", (value) => value.toFixed(2)],
  ["angle", "#009e73", (value) => `${((180 / Math.PI) * value).toFixed(1)}°`],
];

/** Show a path of support vector machines: `data` has {figures, published, words}. */
export function show({ parentElement, data, setTriggerValue }) {
  let view = views.get(parentElement);
  if (!view?.root.isConnected) {
    view = new Tilt(parentElement);
    views.set(parentElement, view);
  }
  view.picked = (what) => setTriggerValue("picked", what);
  view.update(data);
}

/** Ten to a power, as it is written by hand. */
function power(exponent) {
  return `10${[...String(exponent)].map((sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign] ?? { "-": "⁻", ".": "·" }[sign]).join("")}`;
}

class Tilt {
  constructor(parent) {
    this.plane = new Canvas("", "3 / 2");
    this.histogram = new Canvas("", "3 / 2");
    this.curves = new Canvas("", "3 / 1");
    this.slider = element("input", { type: "range", min: 0, step: 1 });
    this.ghost = element("input", { type: "checkbox" });
    this.said = element("output", {});
    this.names = element("div", { class: "numbers" });
    this.images = ["w", "x", "xm", "y", "ym"].map((key) => [key, element("canvas", { role: "img" }), element("figcaption", {})]);
    this.root = this.#layout();
    parent.append(this.root);
    this.slider.addEventListener("input", () => this.#ask());
    this.ghost.addEventListener("change", () => this.#ask());
    this.plane.canvas.addEventListener("click", (event) => this.#pickPoint(event));
    for (const [key, canvas] of this.images.slice(1)) {
      canvas.tabIndex = 0;
      const pick = () => this.picked({ what: key, index: this.index });
      canvas.addEventListener("click", pick);
      canvas.addEventListener("keydown", (event) => event.key === "Enter" && pick());
    }
    new ResizeObserver(() => this.#ask()).observe(this.root);
  }

  /** Tell the page which image's point was pressed: the nearest one, if any is near. */
  #pickPoint(event) {
    const { clientWidth: width, clientHeight: height } = this.plane.canvas;
    const scale = width / SPAN;
    const ups = this.up.row(this.index);
    let [best, least] = [-1, 12 ** 2];
    for (let i = 0; i < ups.length; i++) {
      const [dx, dy] = [width / 2 + this.across.values[i] * scale - event.offsetX, height / 2 - ups[i] * scale - event.offsetY];
      if (dx * dx + dy * dy < least) [best, least] = [i, dx * dx + dy * dy];
    }
    if (best >= 0) this.picked({ what: "point", index: best });
  }

  async update({ figures, published, words }) {
    const key = JSON.stringify([figures.classes, figures.n_per_class, figures.log_lambda.length]);
    const [fresh, spoken] = [this.key !== key, JSON.stringify(words)];
    if (!fresh && this.spoken === spoken) return;
    const { histogram, plane, weights, pictures } = figures;
    const parts = [histogram, plane.across, plane.up, weights.images, pictures.images, pictures.distance, pictures.up];
    const [bars, across, up, images, typical, distance, pictureUp] = await Promise.all(parts.map(unpack));
    Object.assign(this, { key, spoken, figures, published, words, bars, across, up, weights: images, typical, distance, pictureUp });
    this.slider.max = figures.log_lambda.length - 1;
    if (fresh) this.slider.value = figures.log_lambda.length - 1 - figures.best;
    this.ghostLine.hidden = !published;
    for (const part of ["plane", "histogram", "curves"]) this[part].canvas.setAttribute("aria-label", words[`${part}_alt`]);
    this.slider.setAttribute("aria-label", words.strength);
    this.#ask();
  }

  /** Left is a small lambda, right a large one; the path runs the other way. */
  get index() {
    return this.figures.log_lambda.length - 1 - Number(this.slider.value);
  }

  #layout() {
    this.ghostLine = element("label", { class: "ghost" }, this.ghost, element("span", {}));
    const control = element("label", { class: "control" }, element("span", { class: "name" }), this.slider, this.said);
    this.captions = [0, 1, 2].map(() => element("figcaption", {}));
    const figure = (canvas, caption, kind) => element("figure", { class: kind }, canvas, caption);
    const strip = this.images.map(([, canvas, caption]) => element("figure", {}, canvas, caption));
    return element("div", { class: "tilt" }, control, this.names,
      figure(this.plane.canvas, this.captions[0], "plane"), figure(this.histogram.canvas, this.captions[1], "histogram"),
      element("div", { class: "strip" }, ...strip), figure(this.curves.canvas, this.captions[2], "curves"), this.ghostLine);
  }

  /** Draw before the next frame, once. */
  #ask() {
    if (this.asked || !this.figures) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
      this.#draw();
    });
  }

  #draw() {
    const { figures, index, words } = this;
    const angle = figures.angle[index];
    this.unit = [Math.cos(angle), Math.sin(angle)];
    write(this.said, `λ = ${power(figures.log_lambda[index].toFixed(1))}`);
    write(this.root.querySelector(".name"), words.slider);
    write(this.ghostLine.lastChild, words.ghost);
    this.captions.forEach((caption, i) => write(caption, [words.plane, words.histogram, words.curves][i]));
    this.names.replaceChildren(...CURVES.map(([key, , format]) =>
      element("span", {}, `${words[key]} `, element("b", {}, format(figures[key][index])))));
    this.#drawPlane();
    this.#drawHistogram();
    this.#drawImages();
    this.#drawCurves();
  }

  #drawPlane() {
    const { c, width, height, ink } = this.plane.begin();
    const { index, figures, unit } = this;
    const scale = width / SPAN;
    const at = (a, u) => [width / 2 + a * scale, height / 2 - u * scale];
    const ups = this.up.row(index);
    const half = ups.length / 2;
    for (let i = 0; i < ups.length; i++) {
      const [x, y] = at(this.across.values[i], ups[i]);
      c.fillStyle = SIDES[i < half ? 0 : 1];
      if (i < half) c.fillRect(x - 2, y - 2, 4, 4);
      else {
        c.beginPath();
        c.arc(x, y, 2.2, 0, 7);
        c.fill();
      }
    }
    this.#drawBoundary(c, at, scale, ink, figures.shift[index], unit, figures.d_adv[index]);
    this.#drawMirrors(c, at, ink);
  }

  #drawBoundary(c, at, scale, ink, shift, [cos, sin], margin) {
    const foot = [-shift * cos, -shift * sin];
    const along = (offset, reach) => at(foot[0] + offset * cos - reach * sin, foot[1] + offset * sin + reach * cos);
    c.fillStyle = BOUNDARY;
    c.globalAlpha = 0.13;
    c.beginPath();
    for (const [offset, reach] of [[-margin, -20], [-margin, 20], [margin, 20], [margin, -20]]) c.lineTo(...along(offset, reach));
    c.fill();
    c.globalAlpha = 1;
    c.strokeStyle = c.fillStyle = BOUNDARY;
    c.lineWidth = 2;
    line(c, ...along(0, -20), ...along(0, 20));
    arrow(c, ...along(0, 0), ...along(1.5, 0));
    c.fillText("w", ...along(1.8, 0));
    c.strokeStyle = ink;
    c.globalAlpha = 0.35;
    const centroid = this.figures.centroid_distance / 2;
    line(c, ...at(-centroid, 0), ...at(centroid, 0));
    c.globalAlpha = 1;
  }

  #drawMirrors(c, at, ink) {
    const { index, unit, figures, words } = this;
    for (const side of [0, 1]) {
      const place = [figures.pictures.across[side], this.pictureUp.row(index)[side]];
      const distance = this.distance.row(index)[side];
      const mirror = place.map((value, axis) => value - 2 * distance * unit[axis]);
      c.strokeStyle = c.fillStyle = ink;
      c.lineWidth = 1;
      line(c, ...at(...place), ...at(...mirror));
      for (const [spot, name] of [[place, "xy"[side]], [mirror, words[`${"xy"[side]}m`]]]) {
        const [x, y] = at(...spot);
        c.beginPath();
        c.arc(x, y, 4.5, 0, 7);
        c.fill();
        c.fillText(name, x + 7, y - 6);
      }
    }
  }

  #drawHistogram() {
    const { c, width, height, ink } = this.histogram.begin();
    const { bins, range, unit } = this.figures.histogram;
    const counts = this.bars.row(this.index);
    const floor = height - 22;
    const top = 0.22 * this.figures.n_per_class * 2;
    const x = (value) => ((value + range) / (2 * range)) * width;
    for (let bin = 0; bin < bins; bin++) {
      let base = 0;
      for (const side of [0, 1]) {
        const tall = (Math.min(counts[side * bins + bin], top - base) / top) * (floor - 6);
        c.fillStyle = SIDES[side];
        c.fillRect(x(-range) + (bin * width) / bins, floor - (base / top) * (floor - 6) - tall, width / bins - 0.5, tall);
        base += counts[side * bins + bin];
      }
    }
    this.#drawHinge(c, x, floor, range, unit, width);
    c.strokeStyle = c.fillStyle = ink;
    line(c, 0, floor, width, floor);
    c.globalAlpha = 0.6;
    line(c, x(0), 6, x(0), floor);
    c.textAlign = "center";
    c.fillText("0", x(0), height - 6);
    c.textAlign = "left";
    c.fillText(this.words.wrong, 4, height - 6);
    c.textAlign = "right";
    c.fillText(this.words.right, width - 4, height - 6);
    c.textAlign = "left";
    c.globalAlpha = 1;
  }

  /** The hinge loss of ||w|| times the distance: its kink is at 1 / ||w||. */
  #drawHinge(c, x, floor, range, unit, width) {
    const norm = this.figures.norm[this.index] / unit;
    const loss = (value) => Math.max(0, 1 - norm * value);
    const top = Math.max(1.6, loss(-range));
    c.strokeStyle = BOUNDARY;
    c.lineWidth = 2;
    c.beginPath();
    for (let step = 0; step <= width; step += 2) {
      const value = (step / width) * 2 * range - range;
      c.lineTo(x(value), floor - (loss(value) / top) * (floor - 10));
    }
    c.stroke();
  }

  #drawImages() {
    const { index, figures, words } = this;
    const weights = this.weights.row(index);
    const peak = figures.weights.peak[index] / 127;
    for (const [key, canvas, caption] of this.images) {
      if (key === "w") paint(canvas, weights, signed);
      else {
        const side = key[0] === "x" ? 0 : 1;
        const move = key.length > 1 ? 2 * this.distance.row(index)[side] * peak * 255 : 0;
        paint(canvas, this.typical.row(side).map((level, i) => level - move * weights[i]), grey);
      }
      canvas.setAttribute("aria-label", words[key]);
      write(caption, words[key]);
    }
  }

  #drawCurves() {
    const { c, width, height, ink } = this.curves.begin();
    const logs = this.figures.log_lambda;
    const right = width - 132;
    const x = (log) => ((log - logs.at(-1)) / (logs[0] - logs.at(-1))) * right;
    const floor = height - 20;
    c.fillStyle = c.strokeStyle = ink;
    c.globalAlpha = 0.5;
    line(c, 0, floor, right, floor);
    line(c, x(logs[this.index]), 4, x(logs[this.index]), floor);
    for (let log = Math.ceil(logs.at(-1)); log <= logs[0]; log += 2) c.fillText(power(log), Math.min(x(log), right - 26), height - 5);
    c.globalAlpha = 1;
    CURVES.forEach(([key, colour], place) => {
      const values = this.figures[key];
      const top = Math.max(...values, ...((this.ghost.checked && this.published?.[key]) || []));
      const path = (series) => {
        c.beginPath();
        series.forEach((value, i) => c.lineTo(x(logs[i]), floor - (value / top) * (floor - 8)));
        c.stroke();
      };
      c.strokeStyle = c.fillStyle = colour;
      c.lineWidth = 2;
      path(values);
      c.fillText(this.words[key], right + 8, 16 + place * 18);
      if (!this.ghost.checked || !this.published) return;
      c.setLineDash([2, 4]);
      c.lineWidth = 4;
      c.globalAlpha = 0.6;
      path(this.published[key]);
      c.setLineDash([]);
      c.globalAlpha = 1;
    });
  }
}
