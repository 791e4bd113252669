import { element, mark, write } from "./element.js";
import { exactPercent } from "./numbers.js";
import { say } from "./words.js";

const ROWS = 5;

/** The five most probable classes of one step as bars. */
export class Ranking {
  constructor() {
    this.title = element("h3", {}, say("what it says"));
    this.rows = Array.from({ length: ROWS }, () => {
      const label = element("span", { class: "label" });
      const number = element("span", { class: "number" });
      const bar = element("span", { class: "bar" });
      const root = element("li", {}, label, number, element("span", { class: "track" }, bar));
      return { root, label, number, bar };
    });
    const list = element("ol", {}, ...this.rows.map(({ root }) => root));
    this.root = element("section", { class: "ranking", "data-test": "top5", "aria-label": say("Most probable classes") },
      element("div", { class: "head" }, this.title), list);
  }

  /** `top`: [{label, probability}], best first; `original` and `target` are labels to set apart. */
  show(top, { title, original, target }) {
    write(this.title, title);
    this.rows.forEach((row, i) => {
      const entry = top[i];
      mark(row.root, "data-empty", !entry);
      write(row.label, entry?.label ?? "");
      mark(row.label, "title", entry?.label);
      write(row.number, entry ? exactPercent(entry.probability) : "");
      // Painted, not transformed: the page's layers stay as they are.
      row.bar.style.backgroundSize = `${entry ? (100 * entry.probability).toFixed(2) : 0}% 100%`;
      const role = entry && (entry.label === original ? "original" : entry.label === target ? "target" : "other");
      mark(row.root, "data-role", role);
    });
  }
}
