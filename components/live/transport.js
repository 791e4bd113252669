import { element, icon, mark, redraw, write } from "./element.js";

const ACTIONS = [
  ["first", "Back to the start"],
  ["play", "Run"],
  ["step", "One step"],
  ["stop", "Stop"],
];

/** The buttons under the curve and the sentence beside them. `pressed(name)` for each button. */
export class Transport {
  constructor({ pressed }) {
    this.buttons = {};
    for (const [name, label] of ACTIONS) {
      const button = element("button", { type: "button", class: "control", "aria-label": label, title: label, "data-test": name }, icon(name));
      button.onclick = () => pressed(name);
      this.buttons[name] = button;
    }
    this.live = element("button", { type: "button", class: "live", "data-test": "live", title: "Follow the newest step" }, "live");
    this.live.onclick = () => pressed("live");
    this.sentence = element("p", { class: "sentence", "data-test": "status" });
    this.root = element("div", { class: "transport", role: "toolbar", "aria-label": "Transport" }, ...Object.values(this.buttons), this.live, this.sentence);
  }

  /** `state`: {play, can: {first, play, step, stop}, behind, following, sentence, alarm}. */
  show({ play, can, live, following, sentence, alarm }) {
    const button = this.buttons.play;
    redraw(button.firstChild, { Pause: "pause", "Play it again": "replay" }[play] ?? "play");
    mark(button, "aria-label", play);
    mark(button, "title", `${play} (space)`);
    for (const [name, node] of Object.entries(this.buttons)) node.disabled = !can[name];
    mark(this.live, "data-off", !live);
    this.live.disabled = !live || following;
    mark(this.live, "aria-pressed", String(Boolean(live && following)));
    write(this.sentence, sentence);
    mark(this.sentence, "title", sentence);
    mark(this.root, "data-alarm", alarm);
  }
}
