import { element, write } from "../element.js";
import { percent, two } from "../numbers.js";
import { Segmented } from "../segmented.js";
import { say } from "../words.js";
import { Heat, unpack } from "./heat.js";

const ROWS = ["original", "other"];
const COLUMNS = ["clean", "now", "shuffled"];

const methods = () => [
  { value: "grad_cam", text: "Grad-CAM", title: say("What the last convolution sees that speaks for the class; quick") },
  { value: "integrated_gradients", text: say("Integrated gradients"), title: say("Gradients on the straight line from one plain colour to the picture, added up; half a minute on a slow machine") },
  { value: "occlusion", text: say("Occlusion"), title: say("How much the logit falls when a square is made black; slow") },
  { value: "attention_rollout", text: say("Attention rollout"), title: say("For networks of attention: which patches the answer rests on, through all layers; the same for every class; quick") },
  { value: "gradient_attention", text: say("Gradient × attention"), title: say("For networks of attention: what the patches' attention does for the class, through all layers; quick") },
];

const explained = () => ({
  grad_cam: say("Grad-CAM on the last convolution, {layer}: orange is where its answers speak for the class. Each map has its own scale."),
  integrated_gradients: say("Integrated gradients from the mean colour of the training pictures: orange speaks for the class, blue against it. Each map has its own scale; what they add up to should be the rise of the logit."),
  joined_gradients: say("Integrated gradients from black: orange speaks for the class, blue against it. Several networks are taken as one here; the logit is the logarithm of their probability. Each map has its own scale; what they add up to should be the rise of the logit."),
  occlusion: say("Occlusion: orange where making a square black lowers the logit, blue where it raises it. Each map has its own scale."),
  attention_rollout: say("Attention rollout (Abnar and Zuidema 2020): each layer's attention, the mean over its heads, half of it and half of what passes by, multiplied through all layers. It knows no class, so there is one row. Each map has its own scale."),
  gradient_attention: say("Gradient × attention (Chefer et al. 2021): each layer's attention times the gradient of the class's logit, where that is above 0, added up through all layers. Each map has its own scale."),
});

/** The tab "What it looked at": two classes, before and after, and the same on shuffled weights. */
export function create({ ask, run }) {
  return new Looked(ask, run);
}

class Looked {
  constructor(ask, run) {
    Object.assign(this, { ask, run, fell: false });
    this.method = new Segmented(say("Method"), methods(), (method) => this.#choose(method));
    this.about = element("p", { class: "about" });
    this.note = element("p", { class: "about", "data-test": "note-of-method" });
    this.progress = element("progress", { max: 1, value: 0, hidden: true, "aria-label": say("Computing …") });
    this.heads = COLUMNS.map(() => element("div", { class: "head-cell" }));
    this.labels = {};
    this.cells = {};
    const rows = ROWS.map((row) => this.#row(row));
    this.grid = element("div", { class: "maps", "data-test": "maps" }, ...this.heads, ...rows.flat());
    this.sanity = element("p", { class: "about", "data-test": "sanity" });
    this.root = element("section", { class: "looked" }, element("div", { class: "bar" }, this.method.root, this.progress), this.note, this.about, this.grid, this.sanity);
  }

  show(step) {
    this.step = step;
    const { address } = this.run();
    const seen = { clean: `${address}/steps/0/original.png`, now: `${address}/steps/${step}/adversarial.png` };
    seen.shuffled = seen.now;
    const titles = [say("The original picture"), say("At step {step}", { step }), say("At step {step}, weights shuffled", { step })];
    titles.forEach((title, i) => write(this.heads[i], title));
    for (const row of ROWS) for (const column of COLUMNS) this.#clear(row, column, seen[column]);
    write(this.sanity, "");
    this.alike = {};
    this.ask("saliency", { step, method: this.method.value }, (line) => this.#hear(line)).then((last) => this.#settle(last));
  }

  hide() {
    this.progress.hidden = true;
  }

  #choose(method) {
    write(this.note, "");
    this.method.value = method;
    this.fell = true; // whoever chose is not led elsewhere
    this.show(this.run().step);
  }

  #hear(line) {
    if (line.type === "plan") this.#plan(line);
    else if (line.type === "progress") this.#wait(line);
    else if (line.type === "map") this.#draw(line);
    else if (line.type === "share") this.#share(line);
    else if (line.type === "sanity") this.#check(line);
  }

  #settle(last) {
    this.progress.hidden = true;
    if (last?.type !== "error" || !last.sentence || this.fell) return;
    // the first method has no meaning on this network
    this.#choose(this.offered?.includes("attention_rollout") ? "attention_rollout" : "integrated_gradients");
    write(this.note, last.sentence);
  }

  #plan({ method, labels, methods: offered, joined }) {
    Object.assign(this, { words: labels, offered });
    const any = method === "attention_rollout";
    for (const row of ROWS) write(this.labels[row], any ? say("What the answer rests on") : say("What speaks for “{label}”", { label: labels[row] }));
    this.#showRow("other", !any);
    const about = explained()[joined && method === "integrated_gradients" ? "joined_gradients" : method];
    const answer = joined && method === "occlusion" ? say("Several networks are taken as one here; the logit is the logarithm of their probability.") : "";
    write(this.about, method === "grad_cam" ? "" : `${about} ${answer}`.trim());
  }

  #wait({ done, of }) {
    this.progress.hidden = false;
    this.progress.value = done / of;
  }

  #draw(line) {
    const { row, column } = line;
    const cell = this.cells[row][column];
    const label = this.words[row];
    const facts = { label, step: this.step };
    const whole = line.method === "attention_rollout";
    const alt = whole ? { clean: say("Map of what the answer rests on in the original picture"), now: say("Map of what the answer rests on at step {step}", facts), shuffled: say("Map of what the answer rests on at step {step} on a network with shuffled weights", facts) } : { clean: say("Map of what speaks for {label} in the original picture", facts), now: say("Map of what speaks for {label} at step {step}", facts), shuffled: say("Map of {label} at step {step} on a network with shuffled weights", facts) };
    const levels = unpack(line.levels);
    cell.heat.draw(levels, line.side, alt[column]);
    if (levels.every((level) => level === 0)) write(cell.share, say("the map is 0 everywhere"));
    const sum = { logit: two(line.logit), from: two(line.baseline), total: two(line.total) };
    write(cell.figure, line.total === null || line.baseline === null ? say("logit {logit}", sum) : say("logit {logit}, from {from}; adds up to {total}", sum));
    this.progress.hidden = true;
    const about = explained()[line.method].replace("{layer}", line.layer);
    if (line.layer || line.network) write(this.about, [about, line.network && say("Several networks are taken as one here; the map is of the first, {network}.", line)].filter(Boolean).join(" "));
  }

  #share({ row, share }) {
    if (share == null) return;
    const cell = this.cells[row].now;
    const any = this.method.value === "attention_rollout";
    write(cell.share, any ? say("{percent} of it where it rested at first", { percent: percent(share) }) : say("{percent} of it where the original class was seen", { percent: percent(share) }));
    cell.share.title = any ? say("The fifth of the original picture on which the answer rested most") : say("The fifth of the original picture that spoke most for the original class");
  }

  #check({ row, likeness }) {
    this.alike[row] = likeness;
    const named = (name) => (this.method.value === "attention_rollout" ? two(this.alike[name]) : `“${this.words[name]}” ${two(this.alike[name])}`);
    const values = ROWS.filter((name) => this.alike[name] != null).map(named);
    const list = values.join(", ") || say("no map to compare");
    write(this.sanity, say("Check: how like the map of the trained network is to that of the same network with shuffled weights, as a rank correlation: {list}. Near 1 would mean that the method draws the picture, whatever the network has learnt (Adebayo et al. 2018).", { list }));
  }

  #row(row) {
    const label = element("h4", { class: "row-head" });
    this.labels[row] = label;
    this.cells[row] = {};
    const cells = COLUMNS.map((column) => {
      const [figure, share] = [element("span", {}), element("span", {})];
      const heat = new Heat();
      const place = element("figure", { "data-test": `map-${row}-${column}` }, heat.root, element("figcaption", {}, figure, share));
      this.cells[row][column] = { heat, figure, share, place };
      return place;
    });
    return [label, ...cells];
  }

  #showRow(row, shown) {
    this.labels[row].hidden = !shown;
    for (const column of COLUMNS) this.cells[row][column].place.hidden = !shown;
  }

  #clear(row, column, picture) {
    const { heat, figure, share } = this.cells[row][column];
    heat.clear();
    heat.picture(picture);
    write(figure, "");
    write(share, "");
  }
}
