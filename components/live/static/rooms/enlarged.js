import { element, write } from "../element.js";
import { leave, show } from "../player.js";
import { say } from "../words.js";
import { called, standing } from "./tiles.js";

const WIDE = 900;
const MOVES = { ArrowLeft: -1, ArrowUp: -1, PageUp: -1, ArrowRight: 1, ArrowDown: 1, PageDown: 1 };

/** One member's run, as large as the wall; a newer run of the same member takes its place. */
export class Enlarged {
  constructor({ facts, close, move }) {
    Object.assign(this, { facts, close, move, run: null });
    const button = (test, text, title, press) => {
      const node = element("button", { type: "button", class: "wall-button", title, "data-test": test }, text);
      node.onclick = press;
      return node;
    };
    this.name = element("h2", { "data-test": "enlarged-name" });
    this.standing = element("span", { class: "tile-standing" });
    this.nothing = element("p", { class: "wall-nothing" }, say("nothing run yet"));
    this.root = element("section", { class: "enlarged", tabindex: -1, "data-test": "enlarged", hidden: true, "aria-label": say("One run") },
      element("div", { class: "enlarged-head" }, button("back", say("Back"), say("Key {key}", { key: "Esc" }), close), this.name, this.standing,
        button("previous", "←", say("The one before"), () => move(-1)), button("next", "→", say("The next one"), () => move(1))));
    this.#fresh();
  }

  follow(tile) {
    write(this.name, called(tile));
    write(this.standing, tile.state === "running" ? "" : standing(tile));
    this.nothing.hidden = Boolean(tile.run);
    if (this.run === tile.run) return;
    this.stop();
    this.run = tile.run;
    if (!tile.run) return;
    const { base, v, language, words } = this.facts;
    const data = { base, v, language, words, run: tile.run, present: innerWidth >= WIDE, compact: false };
    show({ parentElement: this.view, data, setTriggerValue() {} });
  }

  /** Show nothing, and follow nothing. */
  stop() {
    if (this.run) this.#fresh();
    this.run = null;
  }

  /** Whether a key was meant for this: arrows go to the next one, and the space bar disturbs no run that goes on. */
  key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key in MOVES && !event.shiftKey) this.move(MOVES[event.key]);
    else if (event.key !== " ") return false;
    else return this.#live && !event.composedPath()[0]?.closest?.("button");
    return true;
  }

  get #live() {
    const status = this.view.querySelector("[data-test=player]")?.getAttribute("data-status");
    return ["waiting", "running", "paused"].includes(status);
  }

  #fresh() {
    const before = this.view;
    this.view = element("div", { class: "enlarged-view" });
    this.root.append(this.nothing, this.view);
    if (!before) return;
    before.remove();
    leave(before);
  }
}
