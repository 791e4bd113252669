import { element, mark } from "./element.js";
import { say } from "./words.js";

/** A folded section below the run: what the network does inside. Nothing of it is loaded before it is opened. */
export class Inside {
  constructor() {
    const summary = element("summary", {}, say("Look inside the network"));
    this.place = element("div", {});
    this.root = element("details", { class: "inside", "data-test": "inside", hidden: true }, summary, this.place);
    this.root.ontoggle = () => this.#open();
  }

  /** Whether there is room for the section. */
  allow(allowed) {
    this.allowed = allowed;
  }

  /** Another run, or none. */
  follow(base, address) {
    Object.assign(this, { base, address, shown: null });
    this.panel?.follow(base, address);
  }

  /** Show step `step`; `moving`: it will be another one soon; `over`: the run has ended. */
  show(step, trajectory, { moving, over }) {
    const there = this.allowed && Boolean(this.address) && trajectory.count > 0;
    mark(this.root, "hidden", !there);
    this.shown = { step, trajectory, moving, over };
    if (there) this.panel?.show(this.shown);
  }

  async #open() {
    if (this.root.open && !this.panel) {
      const { Panel } = await import("./inside/panel.js");
      this.panel ??= await Panel.open(this.base);
      this.place.replaceChildren(this.panel.root);
      this.panel.follow(this.base, this.address);
    }
    this.panel?.unfold(this.root.open);
    if (this.shown) this.panel?.show(this.shown);
  }
}
