import { element, mark } from "./element.js";
import { say } from "./words.js";

/** What is worth knowing about a run that is over: what was seen, what it means, where to read on. */
export class Findings {
  constructor() {
    this.list = element("ul", {});
    this.root = element("section", { class: "findings", "data-test": "findings", "aria-label": say("Worth knowing"), hidden: true },
      element("h3", {}, say("worth knowing")), this.list);
    this.shown = "";
  }

  show(findings) {
    const text = JSON.stringify(findings ?? []);
    if (text === this.shown) return;
    this.shown = text;
    mark(this.root, "hidden", !findings?.length);
    this.list.replaceChildren(...(findings ?? []).map(({ name, said, means, url }) =>
      element("li", { "data-finding": name }, element("b", {}, say(...said)), ` ${say(means)} `,
        element("a", { href: url, target: "_blank", rel: "noreferrer" }, say("read on")))));
  }
}
