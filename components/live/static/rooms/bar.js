import { element, mark, write } from "../element.js";
import { say } from "../words.js";

const SWITCHES = { frozen: "z", hide_names: "n", judging: "v" };

/** What the teacher does at the wall; every button has a key. */
export class Bar {
  constructor({ show, sort, ask, broadcast, code }) {
    Object.assign(this, { ask, room: null, keys: {} });
    const view = (name, text, key) => this.#button(text, key, () => show(name), name);
    this.views = { curves: view("curves", say("Curves"), "1"), leaderboard: view("leaderboard", say("Leaderboard"), "2"), answers: view("answers", say("Answers"), "3") };
    this.first = this.#button(say("Fooled first"), "f", () => {
      const on = this.first.getAttribute("aria-pressed") !== "true";
      mark(this.first, "aria-pressed", String(on));
      sort(on);
    }, "fooled-first");
    this.broadcast = this.#button(say("To everyone"), "b", broadcast, "broadcast");
    this.finish = this.#button(say("End it"), "e", () => this.room?.broadcast && ask({ broadcast: null }), "end-broadcast");
    this.switches = {
      frozen: this.#switch("frozen", say("Freeze")),
      hide_names: this.#switch("hide_names", say("Hide names")),
      judging: this.#switch("judging", say("People judge")),
    };
    this.code = this.#button(say("Code"), "j", code, "poster");
    this.hide = this.#button(say("Hide this bar"), "m", () => this.#fold(), "fold");
    this.refused = element("p", { class: "refusal", role: "alert" });
    this.inner = element("div", { class: "teacher-buttons" },
      element("div", { class: "wall-group", role: "group", "aria-label": say("What the wall shows") }, ...Object.values(this.views)),
      this.first, this.broadcast, this.finish, ...Object.values(this.switches), this.code, this.refused);
    this.root = element("nav", { class: "teacher-bar", "aria-label": say("For the teacher"), "data-test": "bar" }, this.inner, this.hide);
    this.shown("curves");
    mark(this.first, "aria-pressed", "false");
  }

  update({ room }) {
    this.room = room;
    this.finish.hidden = !room.broadcast;
    for (const [name, button] of Object.entries(this.switches)) mark(button, "aria-pressed", String(Boolean(room[name])));
  }

  shown(name) {
    for (const [view, button] of Object.entries(this.views)) mark(button, "aria-pressed", String(view === name));
  }

  coded(on) {
    mark(this.code, "aria-pressed", String(on));
  }

  refuse(sentence) {
    write(this.refused, sentence);
  }

  /** Whether a key was one of the bar's, which is then done. */
  key(event) {
    const act = this.keys[event.key.toLowerCase()];
    if (!act || event.shiftKey || event.repeat) return false;
    act();
    return true;
  }

  #switch(name, text) {
    return this.#button(text, SWITCHES[name], () => this.room && this.ask({ [name]: !this.room[name] }), name);
  }

  #button(text, key, press, test) {
    const button = element("button", { type: "button", class: "wall-button", title: say("Key {key}", { key: key.toUpperCase() }), "data-test": test }, text,
      element("kbd", { "aria-hidden": "true" }, key.toUpperCase()));
    button.onclick = press;
    this.keys[key] = press;
    return button;
  }

  #fold() {
    const folded = this.root.hasAttribute("data-folded");
    mark(this.root, "data-folded", !folded);
    this.inner.hidden = !folded;
    write(this.hide.firstChild, folded ? say("Hide this bar") : say("For the teacher"));
  }
}
