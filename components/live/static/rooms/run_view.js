import { element, mark } from "../element.js";
import { leave, show } from "../player.js";
import { say } from "../words.js";

const AWAY = 15_000;

/** The live view of one run: `heard()` whenever what is known of the run changed. */
export class RunView {
  constructor({ facts, heard, start }) {
    Object.assign(this, { facts, heard, start, run: null });
    this.file = element("a", { class: "file", download: true, hidden: true, "data-test": "save" }, say("Save the picture"));
    this.place = element("div", { class: "view" });
    this.root = element("section", { class: "run-view", "aria-label": say("The run"), "data-test": "run-view" }, this.place, this.file);
    this.#stayAwake();
  }

  /** Follow a run, given as the server lists it. */
  watch(run) {
    this.run = { ...run };
    this.#again();
  }

  /** Look at the same run anew: a connection that slept is not to be trusted. */
  refresh(run) {
    Object.assign(this.run, run);
    this.#again();
  }

  /** Ask the server for pause, resume or cancel. */
  async command(action) {
    const { base } = this.facts;
    await fetch(`${base}/runs/${this.run.run}/${action}`, { method: "POST" });
  }

  close() {
    this.run = null;
    this.place.remove();
    leave(this.place);
  }

  #again() {
    const { facts, run } = this;
    const old = this.place;
    this.place = element("div", { class: "view" });
    old.replaceWith(this.place);
    leave(old);
    const data = { base: facts.base, v: facts.v, language: facts.language, words: facts.words, run: run.run, waiting: !run.over, thrifty: true, heard: (message) => this.#hear(run.run, message) };
    show({ parentElement: this.place, data, setTriggerValue: (name) => name === "start" && this.start() });
    this.#show();
  }

  #hear(id, message) {
    if (id !== this.run?.run) return;
    const { run } = this;
    if (message.type === "error") Object.assign(run, { over: true, status: "gone" });
    else Object.assign(run, { status: message.status, reason: message.reason, over: Boolean(message.end), count: message.count });
    this.#show();
    this.heard(run, message);
  }

  #show() {
    const { run } = this;
    mark(this.root, "data-status", run.status);
    const whole = run.over && run.status !== "gone" && run.count > 0;
    mark(this.file, "hidden", !whole);
    if (whole) mark(this.file, "href", `${this.facts.base}/runs/${run.run}/export/network.png`);
  }

  // A phone that was locked comes back with sockets that look open and are not.
  #stayAwake() {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.slept = Date.now();
      else if (this.run && !this.run.over && Date.now() - this.slept > AWAY) this.#again();
    });
  }
}
