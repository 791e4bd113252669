import { element, mark } from "../element.js";
import { say } from "../words.js";

/** The bottom of the page: a button for each part that has something to show, with a dot where it asks for something. */
export class Tabs {
  constructor({ parts, turned }) {
    this.parts = parts; // {name, title, part: {root, waiting}, always}
    this.turned = turned;
    this.root = element("nav", { class: "tabs", "aria-label": say("Parts of the room") });
    for (const entry of parts) this.#add(entry);
    this.turn(parts[0].name);
  }

  turn(name) {
    this.shown = name;
    for (const entry of this.parts) {
      mark(entry.part.root, "data-away", entry.name !== name);
      mark(entry.button, "aria-current", entry.name === name ? "page" : null);
    }
    this.turned(name);
  }

  /** Show which parts there are, and which of them wait for somebody. */
  update() {
    let some = 0;
    for (const entry of this.parts) {
      const { part, button, always } = entry;
      const there = always || (part.root.childElementCount > 0 && !part.root.hidden);
      some += Number(there);
      mark(button, "hidden", !there);
      mark(button, "data-waiting", Boolean(part.waiting) && entry.name !== this.shown);
      mark(entry.dot, "hidden", !part.waiting);
      if (!there && entry.name === this.shown) this.turn(this.parts[0].name);
    }
    mark(this.root, "hidden", some < 2);
  }

  #add(entry) {
    entry.dot = element("span", { class: "dot", hidden: true }, element("span", { class: "spoken-only" }, say("something is waiting for you")));
    entry.button = element("button", { type: "button", hidden: true, "data-test": `tab-${entry.name}` }, entry.title, entry.dot);
    entry.button.onclick = () => this.turn(entry.name);
    this.root.append(entry.button);
    new MutationObserver(() => this.update()).observe(entry.part.root, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden"] });
  }
}
