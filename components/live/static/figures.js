import { element, mark, write } from "./element.js";
import { exactPercent, levels, two } from "./numbers.js";
import { say } from "./words.js";

const figures = () => [
  ["probability", say("target"), say("How likely the network finds this class at this step")],
  ["margin", say("margin"), say("How far the wanted answer is ahead of the best other one, in logits; above 0 the attack has succeeded")],
  ["linf", say("largest change"), say("The largest change of any one pixel value, in grey levels of 255 (l∞ norm)")],
  ["l2", say("total change"), say("The length of the whole perturbation, pixel values from 0 to 1 (l2 norm)")],
  ["rms", say("typical change"), say("The root mean square change of a pixel value, from 0 to 1")],
  ["grad_norm", say("gradient"), say("The length of the gradient that this step followed")],
  ["queries", say("asked"), say("How many pictures the network has been asked about so far")],
];

/** The numbers of one step, each with its word and its unit. */
export class Figures {
  constructor() {
    this.cells = new Map();
    this.root = element("dl", { class: "figures", "data-test": "figures" });
    for (const [name, word, help] of figures()) {
      const term = element("dt", {}, word);
      const value = element("span", { class: "value" }, "–");
      const unit = element("span", { class: "unit" });
      this.cells.set(name, { term, value, unit });
      this.root.append(element("div", { title: help, "data-figure": name }, term, element("dd", {}, value, unit)));
    }
  }

  clear() {
    for (const { value, unit } of this.cells.values()) write(value, "–"), write(unit, "");
  }

  show(trajectory, step) {
    const target = trajectory.classes.find(({ role }) => role === "target") ?? trajectory.classes[0];
    if (!target) return;
    const scalar = (name) => trajectory.scalar(name, step);
    this.#set("probability", exactPercent(trajectory.probability(target.position, step)), "", target.label);
    this.#set("margin", signed(scalar("margin")), say("logits"));
    const linf = scalar("linf");
    this.#set("linf", `${levels(linf)}/255`, `l∞ ${two(100 * linf)} %`);
    this.#set("l2", two(scalar("l2")), "l2");
    this.#set("rms", two(scalar("rms")), say("rms"));
    this.#set("grad_norm", two(scalar("grad_norm")), "");
    this.#set("queries", String(scalar("queries")), say("pictures"));
  }

  #set(name, text, unit, word) {
    const cell = this.cells.get(name);
    write(cell.value, text);
    write(cell.unit, unit);
    if (word) write(cell.term, word), mark(cell.term, "title", word);
  }
}

const signed = (value) => (value > 0 ? `+${two(value)}` : two(value));
