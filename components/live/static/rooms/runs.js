import { element, mark } from "../element.js";
import { percent } from "../numbers.js";
import { say } from "../words.js";

/** A member's own runs, the newest first: a button each. `chosen(run)` when one is pressed. */
export class Runs {
  constructor({ thumbnail, chosen }) {
    Object.assign(this, { thumbnail, chosen, runs: [] });
    this.list = element("ul", {});
    this.root = element("section", { class: "own-runs", "aria-label": say("My runs"), hidden: true, "data-test": "runs" }, element("h2", {}, say("My runs")), this.list);
  }

  /** Show these; the one whose id is `current` is marked. */
  show(runs, current) {
    this.runs = runs;
    mark(this.root, "hidden", !runs.length);
    this.list.replaceChildren(...runs.map((run) => this.#entry(run, current)));
  }

  #entry(run, current) {
    const address = this.thumbnail(run.image);
    const picture = address ? [element("img", { alt: "", src: address, loading: "lazy", width: 40, height: 40 })] : [];
    const words = element("span", { class: "own-words" }, element("b", {}, run.label && run.label !== run.original ? `${run.original} → ${run.label}` : run.original),
      element("span", { class: "quiet" }, [outcome(run), percent(run.probability)].join(" · ")));
    const button = element("button", { type: "button", "data-run": run.run, "data-fooled": run.fooled, "aria-current": run.run === current ? "true" : null }, ...picture, words);
    button.onclick = () => this.chosen(run);
    return element("li", {}, button);
  }
}

function outcome(run) {
  if (!run.over) return run.status === "paused" ? say("paused") : run.status === "waiting" ? say("waiting") : say("running");
  return run.fooled ? say("fooled") : say("not fooled");
}
