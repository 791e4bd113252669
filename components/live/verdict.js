import { element, icon, mark, write } from "./element.js";
import { percent } from "./numbers.js";

const ANNOUNCE_EVERY = 3000;

/** The sentence at the top: what the network said, what it says now, and since when. */
export class Verdict {
  constructor() {
    const answer = (kind) => {
      const name = element("span", { class: "name" });
      const number = element("span", { class: "number" });
      return { root: element("span", { class: `answer ${kind}`, "data-test": kind }, name, number), name, number };
    };
    this.was = answer("was");
    this.now = answer("now");
    this.arrow = element("span", { class: "arrow" }, icon("arrow"));
    this.counter = element("span", { class: "counter", "data-test": "step" });
    this.note = element("p", { class: "note", "data-test": "note" });
    this.spoken = element("p", { class: "spoken", role: "status", "aria-live": "polite" });
    const line = element("p", { class: "line" }, this.was.root, this.arrow, this.now.root, this.counter);
    this.root = element("header", { class: "verdict", "data-test": "verdict" }, line, this.note, this.spoken);
    this.said = 0;
    this.atRest = false;
  }

  /** Before any run: what the network makes of the picture. */
  showIdle({ top, target, hint }) {
    const [best] = top ?? [];
    this.#answer(this.was, best ? `The network says “${best.label}”,` : "", best && percent(best.probability));
    this.#only(null);
    this.atRest = true;
    write(this.note, hint ?? (target ? `Press Run to make it say “${target.label}”.` : "Press Run to change its mind."));
    this.#speak(best ? `The network says ${best.label}, ${percent(best.probability)}.` : "", true);
  }

  /** Step `step` of a run. */
  show(trajectory, step, total, live) {
    const { classes } = trajectory;
    const first = classes[trajectory.winner(0)];
    const now = classes[trajectory.winner(step)];
    if (!first || !now) return;
    const fooled = now.position !== first.position;
    const probability = trajectory.probability(now.position, step);
    this.#answer(this.was, `“${first.label}”`, percent(trajectory.probability(first.position, 0)));
    this.#answer(this.now, `“${now.label}”`, percent(probability));
    this.atRest = false;
    mark(this.root, "data-alarm", null);
    mark(this.arrow, "hidden", null);
    mark(this.root, "data-fooled", fooled);
    write(this.counter, `step ${step}/${total}`);
    write(this.note, note(trajectory, step, now, fooled));
    const turned = this.fooled !== fooled;
    this.fooled = fooled;
    const sentence = `At step ${step} the network says ${now.label}, ${percent(probability)}.`;
    this.#speak(sentence, turned || !live);
  }

  /** A run that has not said anything yet. */
  wait() {
    this.#only(this.atRest ? null : "");
    write(this.note, "Getting ready …");
  }

  /** What is wrong, in one sentence. */
  fail(sentence) {
    this.#only(sentence);
    mark(this.root, "data-alarm", true);
    this.atRest = false;
    write(this.note, "");
    this.#speak(sentence, true);
  }

  // One text on the line, or with null what is there already.
  #only(text) {
    mark(this.root, "data-alarm", null);
    if (text !== null) this.#answer(this.was, text, "");
    this.#answer(this.now, "", "");
    mark(this.arrow, "hidden", true);
    mark(this.root, "data-fooled", null);
    write(this.counter, "");
  }

  #answer({ name, number }, label, value) {
    write(name, label);
    write(number, value ?? "");
    mark(name, "title", label || null);
  }

  // Half a dozen verdicts a second would drown a screen reader.
  #speak(sentence, now) {
    const time = performance.now();
    if (!now && time - this.said < ANNOUNCE_EVERY) return;
    this.said = time;
    write(this.spoken, sentence);
  }
}

function note(trajectory, step, now, fooled) {
  if (step === 0) return "The picture as it was.";
  const target = trajectory.classes.find(({ role }) => role === "target");
  const distance = target ? `“${target.label}” is at ${percent(trajectory.probability(target.position, step))}` : "";
  if (!fooled) return target ? `Still the first answer; ${distance}.` : "Still the first answer.";
  const since = `It changed its mind at step ${trajectory.since(step)}`;
  if (!target) return `${since}.`;
  return now.position === target.position ? `${since}: this is the target.` : `${since}, but not to the target: ${distance}.`;
}
