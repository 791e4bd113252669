import { Canvas, line } from "../canvas.js";
import { element, mark, write } from "../element.js";
import { percent, two } from "../numbers.js";
import { Segmented } from "../segmented.js";
import { say } from "../words.js";

const LEFT = 34;
const RIGHT = 8;
const TOP = 8;
const BOTTOM = 6;
const BLUE = "#0072b2";
const ROW = 14;

const curves = () => [
  { name: "changed", text: say("attacked from clean"), width: 2.5, dash: [] },
  { name: "noise", text: say("noise of the same size from clean"), width: 1.5, dash: [2, 3] },
  { name: "photo", text: say("another “{label}” from clean"), width: 1.5, dash: [7, 4] },
  { name: "towards", text: say("attacked from that “{label}”"), width: 2.5, dash: [] },
];

/** The tab "Where it parts": layer by layer how far the picture was taken, and the channels that moved most. */
export function create({ ask, run, choices }) {
  return new Parts(ask, run, choices);
}

class Parts {
  constructor(ask, run, choices) {
    Object.assign(this, { ask, run, choices, profiles: new Map(), layer: null });
    this.measure = new Segmented(say("Distance"), [
      { value: "cosine", text: say("by angle"), title: say("1 minus the cosine of the angle between the two answers of a layer") },
      { value: "l2", text: say("by length"), title: say("The length of the difference by the length of the answer") },
    ], (value) => this.#measured(value));
    this.verdict = element("p", { class: "finding", "data-test": "parting" });
    this.chart = new Canvas(say("Distance by layer"), "2.6");
    this.slider = element("input", { type: "range", min: 0, max: 1, value: 0, "aria-label": say("Layer"), "data-test": "layer" });
    this.slider.oninput = () => this.#name(Number(this.slider.value));
    this.slider.onchange = () => this.#pick(Number(this.slider.value));
    this.name = element("p", { class: "about", "data-test": "layer-name" });
    this.legend = element("ul", { class: "legend" });
    this.photo = element("figure", { class: "photo", hidden: true }, element("img", {}), element("figcaption", {}));
    this.others = element("div", { class: "others", role: "group", "aria-label": say("Picture to compare with"), hidden: true, "data-test": "photos" });
    this.course = new Canvas(say("Distance by layer, as the run went on"), "6");
    this.courseAbout = element("p", { class: "about" });
    this.channels = element("div", { class: "channels", "data-test": "channels" });
    this.channelsAbout = element("p", { class: "about" });
    this.progress = element("progress", { max: 1, value: 0, hidden: true, "aria-label": say("Computing …") });
    this.table = element("tbody", {});
    this.root = element("section", { class: "parts" },
      element("div", { class: "bar" }, this.measure.root), this.verdict,
      element("div", { class: "chart-row" }, element("div", { class: "chart" }, this.chart.canvas, this.slider, this.course.canvas), element("div", { class: "aside" }, this.legend, this.photo, this.others)),
      this.courseAbout, this.#asTable(),
      element("div", { class: "bar" }, element("h4", {}, say("Channels that moved most")), this.progress), this.name, this.channelsAbout, this.channels);
    new ResizeObserver(() => this.#draw()).observe(this.chart.canvas);
  }

  show(step) {
    this.step = step;
    if (this.run().address !== this.address) this.profiles.clear();
    this.address = this.run().address;
    this.#request();
  }

  hide() {}

  #request() {
    const query = { step: this.step, ...(this.layer === null ? {} : { layer: this.layer }), ...this.choices };
    this.ask("layers", query, (line) => this.#hear(line)).then(() => (this.progress.hidden = true));
  }

  #hear(line) {
    if (line.type === "layers") this.#begin(line);
    else if (line.type === "profile") this.#profile(line);
    else if (line.type === "channels") this.#excited(line);
    else if (line.type === "progress") this.#wait(line);
  }

  #wait({ done, of }) {
    this.progress.hidden = false;
    this.progress.value = done / of;
  }

  #begin(heard) {
    if (heard.other !== this.heard?.other) this.profiles.clear();
    this.heard = heard;
    this.slider.max = heard.layers.length - 1;
    const label = { label: heard.other };
    const shown = curves().filter(({ name }) => heard.photo || name === "changed" || name === "noise");
    this.legend.replaceChildren(...shown.map(({ name, text }) => element("li", { "data-curve": name }, text.replace("{label}", heard.other))));
    this.photo.hidden = !heard.photo;
    this.#offer(heard);
    if (heard.photo) {
      this.photo.firstChild.src = heard.photos.find(({ name }) => name === heard.photo).picture;
      this.photo.firstChild.alt = say("A picture of the shelf that the network calls “{label}”", label);
      write(this.photo.lastChild, say("Another picture that the network calls “{label}”", label));
    }
  }

  /** The pictures of the target's class, of which one is compared with; nothing where there is no choice. */
  #offer({ photos, photo, other }) {
    this.others.hidden = photos.length < 2;
    const buttons = photos.map(({ name, title: shown, picture }, i) => {
      const title = say("Picture {number} of {of} that the network calls “{label}”: {name}", { number: i + 1, of: photos.length, label: other, name: shown });
      const button = element("button", { type: "button", "aria-pressed": String(name === photo), title, "aria-label": title }, element("img", { src: picture, alt: "" }));
      button.onclick = () => this.#compare(name);
      return button;
    });
    const focused = [...this.others.children].indexOf(this.others.getRootNode().activeElement);
    this.others.replaceChildren(...buttons);
    buttons[focused]?.focus();
  }

  #compare(name) {
    if (name === this.heard.photo) return;
    this.choices.photo = name;
    this.profiles.clear();
    this.#request();
  }

  #profile(profile) {
    this.profiles.set(profile.step, profile);
    if (profile.step === this.step || !this.now || !this.profiles.has(this.step)) this.now = profile;
    if (profile.step === this.step) {
      write(this.verdict, this.#sentence(profile));
      this.#tabulate();
    }
    this.#draw();
  }

  #sentence({ parting, changed, noise, step }) {
    const { layers, other, photo, network } = this.heard;
    const last = layers.length - 1;
    const facts = { label: other, step, layer: layers[parting]?.name, number: parting + 1, of: layers.length, times: two(changed.l2[last] / noise.l2[last]) };
    const said = [];
    if (!photo) said.push(say("No picture of the shelf is “{label}” to this network, so there is none to compare with: bring one, run anything on it once, and it is compared with here.", facts));
    else if (parting === null) said.push(say("At step {step} the picture is not nearer, by angle, to another “{label}” than to what it was at the last layer.", facts));
    else said.push(say("At step {step} the picture is nearer, by angle, to another “{label}” than to what it was from layer {number} of {of} on, {layer}.", facts));
    if (Number.isFinite(changed.l2[last] / noise.l2[last])) said.push(say("At the last layer the attack moved it {times} times as far as noise of the same size does.", facts));
    if (network) said.push(say("Several networks are taken as one here; the layers are those of the first, {network}.", { network }));
    return said.join(" ");
  }

  #name(index) {
    this.slider.value = index;
    const layer = this.heard?.layers[index];
    if (!layer) return;
    const shape = layer.shape.join(" × ");
    mark(this.slider, "aria-valuetext", `${layer.name}, ${layer.kind}`);
    write(this.name, say("Layer {number} of {of}: {name}, {kind}, {shape} values", { number: index + 1, of: this.heard.layers.length, name: layer.name, kind: layer.kind, shape }));
    this.#draw();
  }

  #pick(index) {
    this.layer = index;
    this.#name(index);
    this.#request();
  }

  #measured(value) {
    this.measure.value = value;
    this.#draw();
    this.#tabulate();
  }

  #excited({ layer, seen, pixels, channels }) {
    this.#name(layer);
    this.progress.hidden = true;
    write(this.channelsAbout, say("Beside each channel: the parts of the shelf's pictures that excite it most, as large as what a place of this layer sees ({pixels} pixels, {share} of the picture's side).", { pixels, share: percent(seen) }));
    this.channels.replaceChildren(...channels.map((channel) => this.#channel(channel)));
  }

  #channel({ channel, clean, attacked, noise, patches, names }) {
    const facts = { channel, clean: two(clean), attacked: two(attacked), noise: two(noise) };
    const pictures = patches.map((src, i) => element("img", { src, alt: say("Part of the picture {name} that excites channel {channel}", { name: names[i], channel }) }));
    return element("div", { class: "channel", "data-channel": channel },
      element("p", {}, element("b", {}, say("Channel {channel}", facts)), element("span", {}, say("{clean} → {attacked}; noise: {noise}", facts))),
      element("div", { class: "patches" }, ...pictures));
  }

  // ---- drawing -------------------------------------------------------------------------

  #draw() {
    if (!this.now || !this.heard || !this.chart.canvas.clientWidth) return;
    const area = this.chart.begin();
    const profile = this.profiles.get(this.step) ?? this.now;
    const shown = curves().filter(({ name }) => profile[name]);
    const measured = (name) => profile[name][this.measure.value];
    const top = Math.max(0.05, ...shown.flatMap(({ name }) => measured(name).filter((v) => v !== null)));
    this.#axes(area, top);
    const colours = { changed: area.accent, towards: BLUE, noise: area.ink, photo: area.ink };
    for (const { name, width, dash } of shown) this.#curve(area, measured(name), top, colours[name], width, dash);
    this.#course();
  }

  #x(width, index) {
    const count = Math.max(1, this.heard.layers.length - 1);
    return LEFT + ((width - LEFT - RIGHT) * index) / count;
  }

  #axes({ c, width, height, ink, accent }, top) {
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / top);
    c.fillStyle = c.strokeStyle = ink;
    c.textAlign = "right";
    for (const share of [0, 0.5, 1]) {
      c.globalAlpha = 0.18;
      line(c, LEFT, y(share * top), width - RIGHT, y(share * top));
      c.globalAlpha = 0.75;
      c.fillText(two(share * top), LEFT - 5, y(share * top) + 4);
    }
    c.globalAlpha = 0.35;
    const at = this.#x(width, Number(this.slider.value));
    line(c, at, TOP, at, height);
    c.globalAlpha = 1;
    const { parting } = this.profiles.get(this.step) ?? this.now;
    if (parting == null) return;
    c.fillStyle = accent;
    c.globalAlpha = 0.1;
    c.fillRect(this.#x(width, parting), TOP, width - RIGHT - this.#x(width, parting), height - TOP - BOTTOM);
    c.globalAlpha = 1;
  }

  #curve({ c, width, height }, values, top, colour, thick, dash) {
    Object.assign(c, { strokeStyle: colour, lineWidth: thick });
    c.setLineDash(dash);
    c.beginPath();
    values.forEach((value, i) => value !== null && c.lineTo(this.#x(width, i), TOP + (height - TOP - BOTTOM) * (1 - value / top)));
    c.stroke();
    c.setLineDash([]);
  }

  /** Below the curves a row for each step: the stronger the colour, the further; a bar where it parts. */
  #course() {
    const steps = [...this.profiles.keys()].sort((a, b) => a - b);
    const few = steps.length < 2;
    this.course.canvas.style.display = few ? "none" : "block";
    this.course.canvas.style.aspectRatio = "auto";
    this.course.canvas.style.height = `${ROW * steps.length}px`;
    const rows = steps.map((step) => this.profiles.get(step));
    const parts = rows.some(({ parting }) => parting !== null);
    const count = { count: steps.length };
    const about = () => (parts ? say("Below the curves, a row for each of {count} steps: the stronger the colour, the further from the clean picture; the bar stands where it parts.", count) : say("Below the curves, a row for each of {count} steps: the stronger the colour, the further from the clean picture.", count));
    write(this.courseAbout, few ? "" : about());
    if (few) return;
    const { c, width, ink, accent } = this.course.begin();
    const top = Math.max(...rows.flatMap(({ changed }) => changed[this.measure.value]));
    const cell = this.#x(width, 1) - this.#x(width, 0);
    rows.forEach(({ step, changed, parting }, row) => {
      c.fillStyle = ink;
      c.textAlign = "right";
      c.globalAlpha = 0.75;
      c.fillText(step, LEFT - 5, ROW * row + ROW - 3);
      c.fillStyle = accent;
      changed[this.measure.value].forEach((value, i) => {
        const left = Math.max(LEFT, this.#x(width, i) - cell / 2);
        c.globalAlpha = value / top;
        c.fillRect(left, ROW * row + 1, Math.min(width - RIGHT, this.#x(width, i) + cell / 2) - left, ROW - 2);
      });
      c.globalAlpha = 1;
      c.fillStyle = ink;
      if (parting !== null) c.fillRect(Math.max(LEFT, this.#x(width, parting) - cell / 2) - 1, ROW * row, 3, ROW);
    });
  }

  // ---- the same as a table -------------------------------------------------------------

  #asTable() {
    const heads = [say("Layer"), ...curves().map(({ text }) => text)];
    this.tableHeads = heads.map((text) => element("th", { scope: "col" }, text));
    return element("details", { class: "as-table" }, element("summary", {}, say("As a table")),
      element("div", { class: "sheet" }, element("table", {}, element("thead", {}, element("tr", {}, ...this.tableHeads)), this.table)));
  }

  #tabulate() {
    const profile = this.profiles.get(this.step);
    if (!profile) return;
    curves().forEach(({ text }, i) => write(this.tableHeads[i + 1], text.replace("{label}", this.heard.other)));
    this.table.replaceChildren(...this.heard.layers.map(({ name }, i) => {
      const values = curves().map((curve) => element("td", {}, two(profile[curve.name]?.[this.measure.value][i])));
      return element("tr", {}, element("th", { scope: "row" }, name), ...values);
    }));
  }
}
