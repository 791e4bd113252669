import { element, mark, write } from "../element.js";
import { percent, two } from "../numbers.js";
import { Segmented } from "../segmented.js";
import { say, spoken } from "../words.js";
import { Grid } from "./grid.js";
import { PALETTE, PlaneView, REST } from "./plane_view.js";
import { joined } from "./sentences.js";
import { lines } from "./stream.js";

const SETTLED = 300;
const MARGIN = 1.25;
const COLOURED = 8;
const LISTED = 10;

/** The tab "The neighbourhood": a plane through the picture, its adversarial and a third point. */
export function create({ ask, run }) {
  return new Neighbourhood(ask, run);
}

const option = (value, text) => element("option", { value }, text);

class Neighbourhood {
  constructor(ask, run) {
    Object.assign(this, { ask, run, window: null, seed: 0, views: [] });
    const style = element("link", { rel: "stylesheet", href: new URL("./plane.css", import.meta.url).href });
    this.third = element("select", { "data-test": "plane-third" }, option("random", say("A random direction")), option("signs", say("Random signs: noise of one size")));
    this.second = element("select", { "data-test": "plane-second" }, option("", say("no other network")));
    this.third.onchange = () => this.#again(true);
    this.second.onchange = () => this.#again(false);
    this.other = this.#button(say("Another one"), say("Other random numbers"), () => this.#roll());
    this.cells = new Segmented(say("Fineness"), [64, 128, 256].map((cells) => ({ value: String(cells), text: `${cells} × ${cells}` })), (value) => this.#finer(value));
    const zoom = element("span", { class: "zoom", role: "group", "aria-label": say("Zoom") },
      this.#button("−", say("Zoom out"), () => this.#zoom(2)), this.#button("+", say("Zoom in"), () => this.#zoom(0.5)),
      this.#button(say("Near the picture"), say("The picture and its adversarial"), () => this.#go(null)), this.#button(say("All three points"), say("As far as the third point"), () => this.#go(this.#whole())));
    const field = (text, control, ...more) => element("label", { class: "field" }, element("span", {}, text), control, ...more);
    this.planes = element("div", { class: "planes" });
    this.under = element("p", { class: "small under-pointer", "data-test": "plane-pointer" });
    this.about = element("p", { class: "about" });
    this.root = element("section", { class: "neighbourhood" }, style,
      element("div", { class: "bar" }, field(say("Third point"), this.third), this.other, field(say("Beside it"), this.second)),
      element("div", { class: "bar" }, zoom, this.cells.root),
      this.planes, this.under, this.about);
  }

  show(step) {
    this.step = step;
    if (!this.chosen) this.#choices();
    this.#compute();
  }

  hide() {
    clearTimeout(this.timer);
  }

  #button(text, title, onclick) {
    const button = element("button", { type: "button", class: "toggle", title, "aria-label": text.length < 2 ? title : null }, text);
    button.onclick = onclick;
    return button;
  }

  /** What can be chosen is asked for beside the plane, which need not wait for it. */
  async #choices() {
    this.chosen = true;
    const url = spoken(`${this.run().address}/inside/plane_choices?step=${this.step}`);
    await lines(url, (line) => line.type === "choices" && this.#offer(line), new AbortController().signal);
  }

  #offer({ pictures, runs, networks }) {
    const group = (label, entries, text) => entries.length && this.third.append(element("optgroup", { label }, ...entries.map((entry) => option(entry.name, text(entry)))));
    group(say("Another picture"), pictures, ({ title }) => title);
    group(say("The end of another run of yours"), runs, ({ title, attack }) => `${attack} → ${title}`);
    this.second.append(...networks.map(({ name, title }) => option(name, title)));
  }

  #roll() {
    this.seed += 1;
    this.#again(false);
  }

  #again(fresh) {
    if (fresh) this.window = this.plan = null;
    mark(this.other, "hidden", !["random", "signs"].includes(this.third.value));
    this.#compute();
  }

  #finer(value) {
    this.cells.value = value;
    this.#compute();
  }

  #zoom(factor) {
    const window = this.window ?? this.plan?.window;
    if (window) this.#go([window[0], window[1], window[2] * factor]);
  }

  #go(window) {
    this.window = window;
    for (const view of this.views) if (window && view.plan) Object.assign(view, { view: window }), view.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#compute(), SETTLED);
  }

  #whole() {
    if (!this.plan) return null;
    const places = [[0, 0], this.plan.adversarial, this.plan.third];
    const [xs, ys] = [0, 1].map((axis) => places.map((place) => place[axis]));
    const middle = [xs, ys].map((values) => (Math.min(...values) + Math.max(...values)) / 2);
    const half = (MARGIN * Math.max(...[xs, ys].map((values) => Math.max(...values) - Math.min(...values)))) / 2;
    return [...middle, half];
  }

  #compute() {
    clearTimeout(this.timer);
    const query = { step: this.step, third: this.third.value, seed: this.seed, cells: this.cells.value, second: this.second.value };
    if (this.window) [query.x, query.y, query.half] = this.window.map((value) => value.toPrecision(6));
    this.grids = [];
    this.ask("plane", query, (line) => this.#hear(line));
  }

  #hear(line) {
    if (line.type === "plane") this.#begin(line);
    else if (line.type === "class") this.#meet(line);
    else if (line.type === "asked") this.#take(line);
    else if (line.type === "level") this.#finish(line);
  }

  #begin(plan) {
    const names = { original: say("original"), adversarial: say("step {step}", { step: plan.step }), third: say("third point") };
    this.plan = { ...plan, names };
    this.classes = plan.networks.map(() => new Map());
    this.colours = plan.networks.map(() => new Map([[plan.original, PALETTE[0]]]));
    this.grids = plan.networks.map(() => new Grid());
    this.#views(plan.networks);
    this.views.forEach((view, index) => {
      view.begin(this.plan, this.grids[index]);
      write(view.counts, "");
      view.legend.replaceChildren();
    });
    const l2 = two(plan.adversarial[0]);
    const resized = plan.networks.filter((network) => network.resized).map(({ title }) => say("For {network} the same pictures are resized, bilinearly, to its own input.", { network: title }));
    write(this.about, joined([
      say("Every point is a picture: the original at (0, 0), the picture of this step {l2} to its right, the third point in the direction upwards; both axes are in units of l2. The paler a colour, the less sure the network. A corner between corners of one class is not asked about but filled in, so an island smaller than a square of the 4 × 4 may be missed. Values outside [0, 1] are clipped before the network sees them: beyond a dashed line, more than 1 % of them.", { l2 }),
      ...resized,
    ]));
  }

  #views(networks) {
    const names = JSON.stringify(networks);
    if (names === this.shownNetworks) return;
    this.shownNetworks = names;
    for (const view of this.views) view.observer.disconnect();
    this.views = networks.map(({ title }, index) => new PlaneView({
      name: title,
      colour: (label) => this.colours[index].get(this.classes[index].get(label)?.label) ?? REST,
      label: (label) => this.classes[index].get(label)?.label ?? "",
      moved: (window) => this.#go(window),
      told: (text) => write(this.under, text),
    }));
    mark(this.planes, "data-two", networks.length > 1);
    this.planes.replaceChildren(...this.views.map((view) => view.root));
  }

  #meet(line) {
    this.classes[line.network].set(line.index, line);
    const colours = this.colours[line.network];
    if (!colours.has(line.label)) colours.set(line.label, PALETTE[colours.size] ?? REST);
  }

  #take(line) {
    this.grids[line.network].take(line);
    this.views[line.network].later();
  }

  #finish({ network, cells, asked, filled }) {
    this.grids[network].finish(cells);
    if (cells <= COLOURED) this.#paint();
    const facts = { cells, asked: asked.toLocaleString("en"), filled: filled.toLocaleString("en") };
    write(this.views[network].counts, say("{cells} × {cells} squares: {asked} corners asked about, {filled} filled in", facts));
    this.#list(network);
    this.views[network].draw();
    const shares = [...this.grids[network].shares()].sort((a, b) => b[1] - a[1]).slice(0, 4);
    const list = shares.map(([label, share]) => `${this.classes[network].get(label)?.label} ${percent(share)}`).join(", ");
    this.views[network].describe(say("Plane of {network}, share of each class: {list}", { network: this.plan.networks[network].title, list }));
  }

  /** Colours in the order of size, while the plane is coarse: later ones would only jump. */
  #paint() {
    const sizes = this.grids.map((grid, network) => {
      const named = [...grid.shares()].map(([label, share]) => [this.classes[network].get(label)?.label, share]);
      return new Map(named.sort((a, b) => b[1] - a[1]));
    });
    const shared = [...sizes[0].keys()].filter((name) => sizes.every((own) => own.has(name)));
    const first = [...new Set([this.plan.original, ...shared])]; // the same colour in both planes
    this.colours = sizes.map((own) => new Map([...new Set([...first, ...own.keys()])].map((name, index) => [name, PALETTE[index] ?? REST])));
    for (const view of this.views) view.later();
  }

  /** The classes of one plane with their colours and their part of it. */
  #list(network) {
    const sorted = [...this.grids[network].shares()].sort((a, b) => b[1] - a[1]);
    const items = sorted.slice(0, LISTED).map(([label, share]) => {
      const name = this.classes[network].get(label)?.label ?? "";
      const swatch = element("i", { class: "swatch", style: `background: ${this.colours[network].get(name) ?? REST}` });
      return element("li", {}, swatch, element("span", {}, name), element("b", {}, percent(share)));
    });
    if (sorted.length > LISTED) items.push(element("li", {}, say("and {count} smaller ones", { count: sorted.length - LISTED })));
    this.views[network].legend.replaceChildren(...items);
  }
}
