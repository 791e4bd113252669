import { element, mark, write } from "../element.js";
import { learn, say, spoken } from "../words.js";
import { lines } from "./stream.js";

const SETTLED = 350;

/**
 * The tabs. A module has `create({ ask, run, choices })`, which returns `{ root, show(step), hide() }`:
 * - `ask(part, query, heard)` asks the server for a part, with `?step=` and what else is in `query`; `heard` gets
 *   each line. It ends what the tab asked for before, resolves at the end to the last line ("end" or "error"), and
 *   shows by itself that it is computing and what went wrong, so that `heard` gets neither of these two.
 * - `run()` is `{ address, trajectory, step, over }` of the run as it is now.
 * - `choices` are queries that tabs share: `photo`, the picture of the target's class that is compared with.
 * - `show(step)` is called when the tab is opened and when the step that is looked at has settled; `hide()` when
 *   another tab is opened or the section folded; what it had asked for has been ended by then.
 */
const TABS = [
  { name: "saliency", title: () => say("What it looked at"), load: () => import("./saliency.js") },
  { name: "layers", title: () => say("Where it parts"), load: () => import("./layers.js") },
  { name: "plane", title: () => say("The neighbourhood"), load: () => import("./plane.js") },
  { name: "boundary", title: () => say("The boundary"), load: () => import("./boundary.js") },
  { name: "made-of", title: () => say("What the change is made of"), load: () => import("./made_of.js") },
  { name: "people", title: () => say("To people"), load: () => import("./people.js") },
  { name: "words", title: () => say("In words"), load: () => import("./words.js") },
];

/** The opened section: a row of tabs, of which one is shown and computes. */
export class Panel {
  /** A panel whose words are there. */
  static async open(base) {
    await learn(`${base}/inside/words`);
    return new Panel();
  }

  constructor() {
    this.bar = element("div", { class: "tabs", role: "tablist", "aria-label": say("Look into the network by") });
    this.state = element("p", { class: "state", role: "status", "data-test": "inside-state" });
    this.place = element("div", { class: "tab", role: "tabpanel", tabindex: "0" });
    const style = element("link", { rel: "stylesheet", href: new URL("./inside.css", import.meta.url).href });
    this.files = element("p", { class: "files", hidden: true, "data-test": "inside-files" });
    this.root = element("div", { class: "inside-panel" }, style, this.bar, this.state, this.place, this.files);
    this.tabs = TABS.map((entry, index) => this.#tab(entry, index));
    this.open = false;
    this.chosen = this.tabs[0];
  }

  /** Another run: everything begins anew. */
  follow(base, address) {
    this.#stop();
    Object.assign(this, { base, address, now: null, choices: {} });
    for (const tab of this.tabs) tab.part = null;
    this.place.replaceChildren();
    this.files.hidden = true;
  }

  /** The section was opened or folded. */
  unfold(open) {
    if (this.open === open) return;
    this.open = open;
    if (!open) this.#hide();
    this.asked = null;
  }

  /** Where the run stands: asks once the step has settled. */
  show(now) {
    this.now = now;
    if (!this.open || !this.address) return;
    const asked = `${this.chosen.name} ${now.step} ${now.over}`;
    if (asked === this.asked) return;
    this.asked = asked;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#show(), now.moving || this.shownBefore ? SETTLED : 0);
  }

  async #show() {
    const tab = this.chosen;
    const { address } = this;
    this.shownBefore = true;
    if (!tab.part) {
      const { create } = await tab.load();
      if (address !== this.address || tab !== this.chosen) return;
      tab.part ??= create({ ask: (...asked) => this.#ask(tab, ...asked), run: () => ({ address: this.address, ...this.now }), choices: this.choices });
    }
    if (this.place.firstChild !== tab.part.root) this.place.replaceChildren(tab.part.root);
    if (this.open && this.now) tab.part.show(this.now.step);
  }

  #choose(tab) {
    if (tab === this.chosen) return;
    this.#hide();
    this.chosen = tab;
    this.shownBefore = false;
    this.#mark();
    this.place.replaceChildren();
    if (this.now) this.show(this.now);
  }

  #hide() {
    this.#stop();
    this.chosen.part?.hide();
  }

  #stop() {
    clearTimeout(this.timer);
    this.asking?.abort();
    this.asking = this.asked = null;
    write(this.state, "");
    mark(this.root, "aria-busy", null);
  }

  async #ask(tab, part, query, heard) {
    this.asking?.abort();
    if (tab !== this.chosen || !this.open) return;
    const asking = (this.asking = new AbortController());
    mark(this.root, "aria-busy", "true");
    mark(this.state, "data-alarm", null);
    write(this.state, say("Computing …"));
    const url = spoken(`${this.address}/inside/${part}?${new URLSearchParams(query)}`);
    let last = null;
    await lines(url, (line) => this.#hear(asking, (last = line), heard), asking.signal);
    return last;
  }

  #hear(asking, line, heard) {
    if (asking !== this.asking) return;
    if (line.type !== "end" && line.type !== "error") return heard(line);
    mark(this.root, "aria-busy", null);
    mark(this.state, "data-alarm", line.type === "error");
    if (line.type === "end" && this.now?.over) this.#offer();
    write(this.state, line.type === "end" ? "" : (line.sentence ?? say("The connection was lost. Move to another step and back to ask again.")));
  }

  /** What was computed, as files; there is something once a question has been answered. */
  #offer() {
    const files = [["inside.json", say("JSON")], ["inside.npz", say("arrays for NumPy")], ["report.html", say("report")]];
    const links = files.flatMap(([name, text]) => [" ", element("a", { href: spoken(`${this.address}/files/${name}`), download: true }, text)]);
    this.files.replaceChildren(say("What was computed here, as files:"), ...links);
    this.files.hidden = false;
  }

  // ---- the row of tabs -----------------------------------------------------------------

  #tab({ name, title, load }, index) {
    const button = element("button", { type: "button", role: "tab", id: `inside-${name}`, "data-test": `inside-${name}` }, title());
    const tab = { name, load, button, part: null };
    button.onclick = () => this.#choose(tab);
    button.onkeydown = (event) => this.#key(event, index);
    this.bar.append(button);
    mark(button, "aria-selected", String(index === 0));
    mark(button, "tabindex", index === 0 ? "0" : "-1");
    return tab;
  }

  #mark() {
    for (const tab of this.tabs) {
      mark(tab.button, "aria-selected", String(tab === this.chosen));
      mark(tab.button, "tabindex", tab === this.chosen ? "0" : "-1");
    }
    mark(this.place, "aria-labelledby", this.chosen.button.id);
  }

  #key(event, index) {
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: this.tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // the arrows move through the run elsewhere
    const tab = this.tabs[(to + this.tabs.length) % this.tabs.length];
    tab.button.focus();
    this.#choose(tab);
  }
}
