import { element, mark, write } from "../element.js";
import { levels, percent, two } from "../numbers.js";
import { say, spoken } from "../words.js";
import { lines } from "./stream.js";

/** The tab "To people": how alike the two pictures are, and what the same attack does to a robust network. */
export function create({ ask, run }) {
  return new People(ask, run);
}

class People {
  constructor(ask, run) {
    Object.assign(this, { ask, run });
    const style = element("link", { rel: "stylesheet", href: new URL("./plane.css", import.meta.url).href });
    this.ssim = element("p", { class: "verdict-line", "data-test": "people-ssim" });
    this.button = element("button", { type: "button", class: "toggle", hidden: true, "data-test": "people-twin" });
    this.button.onclick = () => this.#twin();
    this.progress = element("progress", { max: 1, value: 0, hidden: true, "aria-label": say("Computing …") });
    this.said = element("p", { role: "status" });
    this.twins = element("div", { class: "twins", "data-test": "people-twins" });
    this.none = element("p", { class: "about", hidden: true }, say("No network of the same build that learnt from attacked pictures comes with this one; the everyday photos have one."));
    this.root = element("section", {}, style, element("h4", {}, say("How alike are the two pictures?")), this.ssim,
      element("p", { class: "about" }, say("The structural similarity (SSIM; Wang et al. 2004) compares brightness, contrast and structure in small windows: 1 is the same picture. Distances by learnt features, such as LPIPS, follow people's judgement better; their weights are not in any package that works offline, so they are left out.")),
      element("h4", {}, say("Does the change mean anything?")),
      element("p", { class: "about" }, say("On a network that learnt from attacked pictures the same attack has to change what people see: its perturbation often has shapes of the other class (Tsipras et al. 2019).")),
      this.none, element("div", { class: "bar" }, this.button, this.progress), this.said, this.twins);
  }

  show(step) {
    this.step = step;
    write(this.ssim, "");
    this.#clear();
    this.ask("people", { step }, (line) => this.#hear(line));
  }

  hide() {
    this.asking?.abort();
    this.progress.hidden = true;
    this.button.disabled = false;
  }

  #clear() {
    this.hide();
    this.twins.replaceChildren();
    write(this.said, "");
  }

  #hear({ type, ssim, twin }) {
    if (type !== "similarity") return;
    write(this.ssim, say("SSIM of the original and the picture of step {step}: {ssim}", { step: this.step, ssim: ssim > 0.9999999 ? "1" : ssim >= 0.9995 ? "> .999" : ssim.toFixed(3).replace(/^0/, "") }));
    this.button.hidden = !twin;
    this.none.hidden = Boolean(twin);
    if (twin) write(this.button, say("Run the same attack on “{network}”", { network: twin }));
  }

  async #twin() {
    this.#clear();
    const asking = (this.asking = new AbortController());
    this.button.disabled = true;
    this.progress.hidden = false;
    this.progress.value = 0;
    mark(this.said, "data-alarm", null);
    await lines(spoken(`${this.run().address}/inside/twin?step=${this.step}`), (line) => this.#heard(line), asking.signal);
    if (asking === this.asking) this.hide();
  }

  #heard(line) {
    if (line.type === "error") write(this.said, line.sentence ?? say("The connection was lost. Move to another step and back to ask again."));
    else if (line.type === "twin_step") this.progress.value = line.step / line.of;
    else if (line.type === "twin") this.#beside(line);
  }

  #beside({ own, twin, gain }) {
    this.twins.replaceChildren(...[own, twin].map((network) => this.#figure(network, gain)));
    const facts = { own: percent(own.low), twin: percent(twin.low) };
    write(this.said, say("Low in frequency: {own} of the perturbation of this network, {twin} of its twin's.", facts));
  }

  #figure(network, gain) {
    const facts = { before: network.before, label: network.label, percent: percent(network.probability), steps: network.steps, l2: two(network.length), levels: levels(network.largest), ssim: network.ssim.toFixed(3).replace(/^0/, ""), gain };
    const outcome = network.fooled ? say("fooled after {steps} steps: {before} → {label}, {percent}", facts) : say("not fooled after {steps} steps: {before} → {label}, {percent}", facts);
    return element("figure", {}, element("h4", {}, network.title),
      element("div", { class: "pair" },
        element("img", { src: network.perturbation, alt: say("The perturbation of {network}, amplified", { network: network.title }) }),
        element("img", { src: network.picture, alt: say("The picture that {network} was shown last", { network: network.title }) })),
      element("figcaption", {}, element("span", {}, outcome), element("span", {}, say("l2 {l2}, at most {levels} grey levels, SSIM {ssim}; shown × {gain}", facts))));
  }
}
