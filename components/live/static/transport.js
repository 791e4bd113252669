import { element, icon, mark, redraw, write } from "./element.js";
import { say } from "./words.js";

const actions = () => [
  ["first", say("Back to the start")],
  ["play", say("Run")],
  ["step", say("One step")],
  ["stop", say("Stop")],
];

const plays = () => ({
  run: ["play", say("Run")],
  pause: ["pause", say("Pause")],
  resume: ["play", say("Resume")],
  again: ["replay", say("Play it again")],
});

/** The buttons under the curve and the sentence beside them. `pressed(name)` for each button. */
export class Transport {
  constructor({ pressed }) {
    this.buttons = {};
    this.plays = plays();
    for (const [name, label] of actions()) {
      const button = element("button", { type: "button", class: "control", "aria-label": label, title: label, "data-test": name }, icon(name));
      button.onclick = () => pressed(name);
      this.buttons[name] = button;
    }
    this.live = element("button", { type: "button", class: "live", "data-test": "live", title: say("Follow the newest step") }, say("live"));
    this.live.onclick = () => pressed("live");
    this.sentence = element("p", { class: "sentence", "data-test": "status" });
    this.root = element("div", { class: "transport", role: "toolbar", "aria-label": say("Transport") }, ...Object.values(this.buttons), this.live, this.sentence);
  }

  /** `state`: {play: run, pause, resume or again, can: {first, play, step, stop}, behind, following, sentence, alarm}. */
  show({ play, can, live, following, sentence, alarm }) {
    const button = this.buttons.play;
    const [drawing, action] = this.plays[play];
    redraw(button.firstChild, drawing);
    mark(button, "aria-label", action);
    mark(button, "title", say("{action} (space)", { action }));
    for (const [name, node] of Object.entries(this.buttons)) node.disabled = !can[name];
    mark(this.live, "data-off", !live);
    this.live.disabled = !live || following;
    mark(this.live, "aria-pressed", String(Boolean(live && following)));
    write(this.sentence, sentence);
    mark(this.sentence, "title", sentence);
    mark(this.root, "data-alarm", alarm);
  }
}
