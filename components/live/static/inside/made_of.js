import { element, mark, write } from "../element.js";
import { exactPercent, percent, two } from "../numbers.js";
import { say, spoken } from "../words.js";
import { joined } from "./sentences.js";
import { lines } from "./stream.js";
import { chart, decades, plain, ticks } from "./svg_chart.js";

const SETTLED = 250;
const HIGHEST = 1.42;

/** The tab "What the change is made of": frequencies, places, grey levels, and which part of it fools. */
export function create({ ask, run }) {
  return new MadeOf(ask, run);
}

const bandNames = () => [say("low"), say("middle"), say("high"), say("low and middle"), say("middle and high"), say("all of it")];

class MadeOf {
  constructor(ask, run) {
    Object.assign(this, { ask, run });
    const style = element("link", { rel: "stylesheet", href: new URL("./plane.css", import.meta.url).href });
    this.stamps = element("div", { class: "stamps", "data-test": "made-of-pictures" });
    this.radial = element("div", {});
    this.grey = element("div", {});
    this.where = element("p", { "data-test": "made-of-where" });
    this.bands = element("tbody", { "data-test": "made-of-bands" });
    this.survivors = element("div", {});
    this.fewest = element("p", { "data-test": "made-of-fewest" });
    const heads = [say("Frequencies"), say("Share of it"), say("of noise"), say("With this part alone the network says")].map((text) => element("th", { scope: "col" }, text));
    this.root = element("section", {}, style,
      this.stamps, this.where, element("div", { class: "charts" }, this.radial, this.grey),
      element("h4", {}, say("Which frequencies fool it?")),
      element("div", { class: "wide" }, element("table", { class: "table" }, element("thead", {}, element("tr", {}, ...heads)), this.bands)),
      this.#filter(),
      element("p", { class: "about" }, say("A frequency of 1 is a change from pixel to pixel along a row; low is below 1/8, high above 1/2. Shares are of the squared l2. Filtered perturbations are added to the original and clipped to [0, 1]; their l2 is that of the band, not scaled up.")),
      element("h4", {}, say("How few of the values are enough?")), this.fewest, this.survivors);
  }

  show(step) {
    this.step = step;
    this.rows = [];
    this.largest = [];
    [this.stamps, this.radial, this.grey, this.bands, this.survivors].forEach((node) => node.replaceChildren());
    [this.where, this.fewest].forEach((node) => write(node, ""));
    this.ask("made_of", { step }, (line) => this.#hear(line)).then(() => this.#slide(0));
  }

  hide() {
    clearTimeout(this.timer);
    this.asking?.abort();
  }

  #hear(line) {
    if (line.type === "composition") this.#compose(line);
    else if (line.type === "filtered") this.#band(line);
    else if (line.type === "largest") this.#largest(line);
  }

  // ---- what it is made of --------------------------------------------------------------

  #compose(line) {
    this.noiseShares = line.noise_shares;
    const peak = Math.hypot(...line.peak);
    const stamp = (src, text, alt) => element("figure", {}, element("img", { src, alt }), element("figcaption", {}, text));
    this.stamps.replaceChildren(
      stamp(line.spectrum, say("Its spectrum: the middle is the lowest frequency, white the strongest, black a millionth of that"), say("Spectrum of the perturbation")),
      stamp(line.noise_spectrum, say("Noise of the same l2, on the same scale"), say("Spectrum of noise")),
      stamp(line.places, say("Where it sits: white is the greatest change"), say("Size of the change at each pixel")));
    const facts = { touched: percent(line.touched / line.pixels), visible: percent(line.visible / line.pixels), half: percent(line.half), cycles: two(peak), low: percent(line.shares[0]), noise: percent(line.noise_shares[0]) };
    const strongest = peak ? say("Its strongest frequency has {cycles} cycles across the picture.", facts) : say("Its strongest frequency is an even colour.");
    const said = say("{touched} of the pixels changed, {visible} by half a grey level or more; half of the squared l2 is on {half} of them. {low} of it is low in frequency, of noise {noise}.", facts);
    write(this.where, joined([said, strongest]));
    this.radial.replaceChildren(this.#rings(line));
    this.grey.replaceChildren(this.#levels(line));
  }

  #rings({ radius, power, noise }) {
    const values = [...power, ...noise].filter((value) => value > 0);
    const high = Math.max(...values);
    const low = Math.max(Math.min(...values), high * 1e-8);
    const xs = [0, 0.5, 1].filter((at) => at <= radius.at(-1));
    return chart({
      x: { low: 0, high: radius.at(-1), label: say("frequency (1: from pixel to pixel)"), ticks: xs.map((at) => ({ at, text: plain(at) })) },
      y: { low, high, log: true, label: say("Power of a frequency, mean over the ring"), ticks: decades(low, high).map((at) => ({ at, text: at >= 0.0001 && at < 1e4 ? plain(at) : two(at) })) },
      series: [
        { name: say("perturbation"), points: radius.map((r, i) => [r, Math.max(power[i], low)]) },
        { name: say("noise of the same l2"), points: radius.map((r, i) => [r, noise[i]]), dashed: true },
      ],
      spoken: say("Power by frequency, of the perturbation and of noise"),
    });
  }

  #levels({ levels }) {
    const total = levels.reduce((sum, count) => sum + count, 0);
    const last = levels.length - 1;
    const most = Math.max(...levels) / total;
    const stride = Math.max(1, Math.ceil(last / 8));
    const at = levels.map((_, level) => level).filter((level) => level % stride === 0);
    return chart({
      x: { low: -0.6, high: last + 0.6, label: say("grey levels of 255"), ticks: at.map((level) => ({ at: level, text: level === 32 ? "32+" : String(level) })) },
      y: { low: 0, high: most, label: say("Share of the values that changed by so many grey levels, rounded"), ticks: ticks(0, most, 4).map((share) => ({ at: share, text: share ? percent(share) : "0" })) },
      bars: levels.map((count, level) => [level - 0.5, level + 0.5, count / total]).filter(([, , share]) => share > 0),
      spoken: say("Histogram of how many grey levels values changed by"),
    });
  }

  // ---- which part fools ----------------------------------------------------------------

  #band(line) {
    const index = this.rows.length;
    this.rows.push(line);
    const noise = index < 3 ? percent(this.noiseShares[index]) : "";
    const name = bandNames()[index] ?? "";
    const answer = element("td", { class: line.fooled ? "fools" : "" }, `${line.label} ${percent(line.probability)}`, line.fooled ? ` – ${say("fooled")}` : "");
    this.bands.append(element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, percent(line.share)), element("td", {}, noise), answer));
  }

  #filter() {
    const slider = (value, label) => element("input", { type: "range", min: 0, max: HIGHEST, step: 0.01, value, "aria-label": label });
    this.low = slider(0, say("Lowest frequency"));
    this.high = slider(0.25, say("Highest frequency"));
    [this.low, this.high].forEach((input) => {
      input.oninput = () => this.#push(input);
      input.onkeydown = (event) => event.stopPropagation(); // the arrows move through the run elsewhere
    });
    this.ends = [element("output", {}), element("output", {})];
    this.shown = element("img", { alt: "", "data-test": "made-of-filtered" });
    this.verdict = element("p", { class: "verdict-line", role: "status", "data-test": "made-of-verdict" });
    this.share = element("p", { class: "small" });
    const row = (text, input, output) => element("label", {}, element("span", {}, text), input, output);
    this.#ends();
    return element("div", { class: "filter" }, this.shown, element("div", { class: "sliders" }, row(say("lowest"), this.low, this.ends[0]), row(say("highest"), this.high, this.ends[1]), this.verdict, this.share));
  }

  #ends() {
    [this.low, this.high].forEach((input, i) => write(this.ends[i], Number(input.value).toFixed(2)));
  }

  /** The other end gives way, so that the band is never empty. */
  #push(input) {
    const [low, high] = [Number(this.low.value), Number(this.high.value)];
    if (low >= high - 0.005) {
      if (input === this.low) this.high.value = Math.min(HIGHEST, low + 0.01);
      else this.low.value = Math.max(0, high - 0.01);
      if (Number(this.low.value) >= Number(this.high.value)) this.low.value = HIGHEST - 0.01;
      if (Number(this.high.value) <= 0) this.high.value = 0.01;
    }
    this.#ends();
    this.#slide(SETTLED);
  }

  #slide(wait) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    const high = Math.min(Number(this.high.value), Math.SQRT2).toFixed(4);
    const query = new URLSearchParams({ step: this.step, low: this.low.value, high });
    await lines(spoken(`${this.run().address}/inside/filter?${query}`), (line) => this.#heard(line), asking.signal);
  }

  #heard(line) {
    if (line.type === "error") return this.#refused(line.sentence ?? say("The connection was lost. Move to another step and back to ask again."));
    if (line.type !== "filtered") return;
    mark(this.verdict, "data-fools", line.fooled);
    write(this.verdict, line.fooled ? say("{label}, {percent}: this part alone fools it", { label: line.label, percent: percent(line.probability) }) : say("{label}, {percent}: this part alone does not fool it", { label: line.label, percent: percent(line.probability) }));
    write(this.share, say("{share} of the squared l2; shown × {gain}", { share: exactPercent(line.share), gain: line.gain }));
    this.shown.src = line.picture;
    this.shown.alt = say("The part of the perturbation between these frequencies");
  }

  #refused(sentence) {
    write(this.verdict, sentence);
    write(this.share, "");
    this.shown.removeAttribute("src");
  }

  // ---- how few are enough --------------------------------------------------------------

  #largest(line) {
    this.largest.push(line);
    const fools = this.largest.filter(({ fooled }) => fooled);
    const fewest = fools.at(-1);
    if (fewest) write(this.fewest, say("With its {values} largest values alone ({share} of all, {length} of the squared l2) the picture still fools: {label}, {percent}.", { values: fewest.values.toLocaleString("en"), share: exactPercent(fewest.share), length: percent(fewest.length), label: fewest.label, percent: percent(fewest.probability) }));
    else write(this.fewest, say("No number of its largest values alone fools the network."));
    if (this.largest.length > 1) this.survivors.replaceChildren(this.#curve());
  }

  #curve() {
    const [most, least] = [this.largest[0].values, Math.max(1, this.largest.at(-1).values)];
    return chart({
      x: { low: least, high: most, log: true, label: say("largest values that stay"), ticks: decades(least, most).map((at) => ({ at, text: at.toLocaleString("en") })) },
      y: { low: 0, high: 1, label: say("Probability of the original class; filled where the picture fools"), ticks: [0, 0.5, 1].map((at) => ({ at, text: `${100 * at} %` })) },
      series: [{ points: this.largest.map(({ values, original, fooled }) => [values, original, fooled]), dots: true }],
      spoken: say("Probability of the original class, by how many of the largest values stay"),
    });
  }
}
