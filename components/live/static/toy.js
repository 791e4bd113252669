import { Canvas, SIDES, arrow, line } from "./canvas.js";
import { element, write } from "./element.js";

const views = new WeakMap();
const BOUNDARY = "#e66100";
const REACH = 1.15;

/** Show the toy problem: images of two grey levels, a boundary at an angle, `data` has {figures, words}. */
export function show({ parentElement, data }) {
  let view = views.get(parentElement);
  const old = view?.root.isConnected ? view : null;
  if (old && JSON.stringify(old.words) === JSON.stringify(data.words)) return;
  view = new Toy(parentElement, data);
  views.set(parentElement, view);
  if (old) view.slider.value = old.slider.value;
  old?.root.remove();
}

class Toy {
  constructor(parent, { figures, words }) {
    Object.assign(this, { figures, words });
    const { turn } = figures.geometry;
    this.slider = element("input", { type: "range", min: 0, max: turn.length - 1, step: 1, value: Math.round(turn.length / 2), "aria-label": words.slider });
    this.said = element("output", {});
    this.plane = new Canvas(words.plane, "1 / 1");
    this.pictures = ["x", "xp", "xm"].map((key) => [key, new Canvas(words[key], "1 / 1"), element("figcaption", {})]);
    const control = element("label", { class: "control" }, element("span", {}, words.slider), this.slider, this.said);
    const strip = this.pictures.map(([, canvas, caption]) => element("figure", {}, canvas.canvas, caption));
    this.root = element("div", { class: "toy" }, control,
      element("figure", {}, this.plane.canvas, element("figcaption", {}, words.plane)), element("div", { class: "pair" }, ...strip));
    parent.append(this.root);
    this.slider.addEventListener("input", () => this.#ask());
    new ResizeObserver(() => this.#ask()).observe(this.root);
  }

  #ask() {
    this.asked ||= requestAnimationFrame(() => {
      this.asked = 0;
      this.#draw();
    });
  }

  #draw() {
    const { geometry } = this.figures;
    const index = Number(this.slider.value);
    const places = { x: geometry.image, xp: geometry.projected[index], xm: geometry.mirror[index] };
    const angle = (geometry.turn[index] * Math.PI) / 2;
    write(this.said, `${((angle * 180) / Math.PI).toFixed(0)}°`);
    this.#drawPlane(angle, places);
    for (const [key, canvas, caption] of this.pictures) {
      this.#drawPicture(canvas, places[key]);
      write(caption, `${this.words[key]} (${places[key].map((value) => value.toFixed(2)).join(", ")})`);
    }
  }

  #drawPlane(angle, places) {
    const { c, width, height, ink } = this.plane.begin();
    const at = ([a, b]) => [width * (0.5 + a / (2 * REACH)), height * (0.5 - b / (2 * REACH))];
    c.strokeStyle = ink;
    c.globalAlpha = 0.3;
    line(c, ...at([-REACH, 0]), ...at([REACH, 0]));
    line(c, ...at([0, -REACH]), ...at([0, REACH]));
    c.globalAlpha = 1;
    c.lineWidth = 9;
    [[-1, -0.2], [0.2, 1]].forEach(([from, to], side) => {
      c.strokeStyle = SIDES[side];
      line(c, ...at([from, 0]), ...at([to, 0]));
    });
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    c.strokeStyle = c.fillStyle = BOUNDARY;
    c.lineWidth = 2;
    line(c, ...at([2 * sin, -2 * cos]), ...at([-2 * sin, 2 * cos]));
    arrow(c, ...at([0, 0]), ...at([0.3 * cos, 0.3 * sin]));
    c.strokeStyle = c.fillStyle = ink;
    c.lineWidth = 1;
    line(c, ...at(places.x), ...at(places.xm));
    for (const [key, place] of Object.entries(places)) {
      const [x, y] = at(place);
      c.beginPath();
      c.arc(x, y, 5, 0, 7);
      c.fill();
      c.fillText(this.words[key], x + 8, y - 8);
    }
  }

  /** Two tones: the inner square shows the first value, the outer one the second. */
  #drawPicture(canvas, [inner, outer]) {
    const { c, width, height } = canvas.begin();
    const tone = (value) => `hsl(212 60% ${Math.round(50 + 45 * Math.max(-1, Math.min(1, -value)))}%)`;
    c.fillStyle = tone(outer);
    c.fillRect(0, 0, width, height);
    c.fillStyle = tone(inner);
    c.fillRect(width / 4, height / 4, width / 2, height / 2);
  }
}
