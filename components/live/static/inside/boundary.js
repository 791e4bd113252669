import { element, mark, write } from "../element.js";
import { two } from "../numbers.js";
import { say } from "../words.js";
import { joined } from "./sentences.js";
import { chart, decades, plain, ticks } from "./svg_chart.js";

const BINS_PER_DECADE = 8;

/** The tab "The boundary": how straight the network is along two lines, and how far its boundary is all around. */
export function create({ ask, run }) {
  return new Boundary(ask, run);
}

const median = (sorted) => (sorted.length % 2 ? sorted[(sorted.length - 1) / 2] : (sorted[sorted.length / 2 - 1] + sorted[sorted.length / 2]) / 2);
const round = (at) => ({ at, text: plain(at) });

class Boundary {
  constructor(ask, run) {
    Object.assign(this, { ask, run });
    const style = element("link", { rel: "stylesheet", href: new URL("./plane.css", import.meta.url).href });
    this.histogram = element("div", {});
    this.ratio = element("p", { class: "verdict-line", "data-test": "boundary-ratio" });
    this.progress = element("progress", { max: 1, value: 0, hidden: true, "aria-label": say("Computing …") });
    this.lines = element("div", { class: "charts", "data-test": "boundary-lines" });
    this.straight = element("p", { "data-test": "boundary-straight" });
    this.root = element("section", {}, style,
      element("h4", {}, say("Is it linear?")), this.straight, this.lines,
      element("p", { class: "about" }, say("On a linear network the margin is a straight line, and adversarial pictures follow from many small changes that add up (Goodfellow et al. 2015). R² is the share of the margin's variance that the best straight line explains. The loss bends on every network, because it contains a logarithm.")),
      element("h4", {}, say("How far away is the boundary?")), this.ratio, this.progress, this.histogram,
      element("p", { class: "about" }, say("From the original along random directions, half of them the opposites of the others, each picture clipped to [0, 1]: the length is doubled until the class changes, and then halved to within 1 %. Where the class changes and changes back between two lengths, that is missed. Where the boundary is flat, random noise has to be longer than the shortest perturbation by about the square root of the number of values (Fawzi et al. 2016).")));
  }

  show(step) {
    Object.assign(this, { points: { adversarial: [], sign: [] }, straightness: {}, distances: [], none: 0, adversarial: null, count: 0 });
    [this.lines, this.histogram].forEach((node) => node.replaceChildren());
    [this.ratio, this.straight].forEach((node) => write(node, ""));
    this.ask("boundary", { step }, (line) => this.#hear(line)).then(() => (this.progress.hidden = true));
  }

  hide() {
    this.progress.hidden = true;
  }

  #hear(line) {
    if (line.type === "along") this.#along(line);
    else if (line.type === "straight") this.#straight(line);
    else if (line.type === "searching") this.#wait(line);
    else if (line.type === "distance") this.#distance(line);
  }

  #along({ line, at, losses, margins, clipped }) {
    at.forEach((place, i) => this.points[line].push({ at: place, loss: losses[i], margin: margins[i], clipped: clipped[i] }));
  }

  #straight(line) {
    this.straightness[line.line] = line;
    if (Object.keys(this.straightness).length < 2) return;
    const { adversarial, sign } = this.straightness;
    const facts = { own: line.own, other: line.other, adversarial: adversarial.margin.toFixed(3), sign: sign.margin.toFixed(3) };
    write(this.straight, say("The logit of {other} less that of {own}: R² {adversarial} along the adversarial direction, {sign} along the sign of the gradient.", facts));
    const title = say("Margin, the logit of {other} less that of {own}", facts);
    this.lines.replaceChildren(this.#lineChart("margin", title), this.#lineChart("loss", say("Loss, the cross-entropy of {own}, in nats", facts)));
  }

  #lineChart(figure, title) {
    const all = [...this.points.adversarial, ...this.points.sign];
    const values = all.map((point) => point[figure]);
    const y = { low: Math.min(0, ...values), high: Math.max(...values, 0) };
    const x = { low: all[0].at, high: this.points.adversarial.at(-1).at };
    const series = ["adversarial", "sign"].map((line) => ({
      name: line === "sign" ? say("along the sign of the gradient") : say("along the adversarial direction"),
      points: this.points[line].map((point) => [point.at, point[figure]]),
      dashed: line === "sign",
    }));
    return chart({
      x: { ...x, label: say("l2 from the original"), ticks: ticks(x.low, x.high, 5).map(round) },
      y: { ...y, label: title, ticks: ticks(y.low, y.high, 4).map(round) },
      series,
      marks: [{ at: x.high / 2, text: say("this step") }],
      spoken: title,
    });
  }

  #wait({ asked, of, length }) {
    this.count = of;
    if (length) this.length = length;
    this.progress.hidden = false;
    this.progress.value = (this.distances.length + this.none) / of;
    mark(this.progress, "title", say("{asked} pictures asked about", { asked }));
  }

  #distance(line) {
    if (line.direction < 0) this.adversarial = line.length;
    else if (line.length == null) this.none += 1;
    else this.distances.push(line.length);
    this.progress.value = (this.distances.length + this.none) / (this.count || 1);
    if (!this.distances.length && !this.none) return;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    const { adversarial, distances, none, count } = this;
    const sorted = [...distances].sort((a, b) => a - b);
    const done = distances.length + none;
    const facts = { done, count, crossed: distances.length, none };
    const parts = [];
    if (sorted.length) parts.push(say("{crossed} of {done} random directions leave the class, half of them within an l2 of {median}.", { ...facts, median: two(median(sorted)) }));
    else parts.push(say("None of {done} random directions leaves the class inside [0, 1].", facts));
    if (adversarial != null) parts.push(say("The adversarial direction leaves it at {length}.", { length: two(adversarial) }));
    else parts.push(say("The adversarial direction does not leave it."));
    if (sorted.length && adversarial) parts.push(say("That is {ratio} times nearer.", { ratio: two(median(sorted) / adversarial) }));
    write(this.ratio, joined(parts));
    if (sorted.length) this.histogram.replaceChildren(this.#bars(sorted));
  }

  #bars(sorted) {
    const { adversarial, none } = this;
    const low = 10 ** (Math.floor(BINS_PER_DECADE * Math.log10(Math.min(sorted[0], adversarial || sorted[0]))) / BINS_PER_DECADE - 0.1);
    const high = 10 ** (Math.ceil(BINS_PER_DECADE * Math.log10(sorted.at(-1))) / BINS_PER_DECADE + 0.1);
    const bins = new Map();
    for (const length of sorted) {
      const bin = Math.floor(BINS_PER_DECADE * Math.log10(length));
      bins.set(bin, (bins.get(bin) ?? 0) + 1);
    }
    const most = Math.max(...bins.values());
    const wide = Math.log10(high / low) > 1.2;
    const along = wide ? decades(low, high) : ticks(low, high, 5);
    const spoken = say("Histogram of the distance along random directions: from {low} to {high}, half below {median}; adversarial {adversarial}", { low: two(sorted[0]), high: two(sorted.at(-1)), median: two(median(sorted)), adversarial: two(adversarial) });
    const title = none ? say("Random directions, by distance; {none} more never leave the class", { none }) : say("Random directions, by distance");
    return chart({
      x: { low, high, log: true, label: say("l2 at which the class changes"), ticks: along.filter((at) => at > 0).map(round) },
      y: { low: 0, high: most, label: title, ticks: ticks(0, most, Math.min(4, most)).map((at) => ({ at, text: String(at) })) },
      bars: [...bins].map(([bin, number]) => [10 ** (bin / BINS_PER_DECADE), 10 ** ((bin + 1) / BINS_PER_DECADE), number]),
      marks: adversarial ? [{ at: adversarial, text: say("adversarial") }] : [],
      spoken,
    });
  }
}
