import { element, icon, mark, write } from "./element.js";
import { percent } from "./numbers.js";
import { say } from "./words.js";

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
    const facts = best && { label: best.label, percent: percent(best.probability) };
    this.#answer(this.was, best ? say("The network says “{label}”,", facts) : "", facts?.percent);
    this.#only(null);
    this.atRest = true;
    write(this.note, hint ?? (target ? say("Press Run to make it say “{label}”.", target) : say("Press Run to change its mind.")));
    this.#speak(best ? say("The network says {label}, {percent}.", facts) : "", true);
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
    mark(this.root, "data-single", null);
    mark(this.root, "data-fooled", fooled);
    write(this.counter, say("step {step}/{total}", { step, total }));
    write(this.note, note(trajectory, step, now, fooled));
    const turned = this.fooled !== fooled;
    this.fooled = fooled;
    const facts = { step, label: now.label, percent: percent(probability) };
    const sentence = say("At step {step} the network says {label}, {percent}.", facts);
    this.#speak(sentence, turned || !live);
  }

  /** A run that has not said anything yet. */
  wait() {
    this.#only(this.atRest ? null : "");
    write(this.note, say("Getting ready …"));
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
    mark(this.root, "data-single", true);
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
  if (step === 0) return say("The picture as it was.");
  const target = trajectory.classes.find(({ role }) => role === "target");
  const facts = { label: target?.label, percent: target && percent(trajectory.probability(target.position, step)) };
  if (!fooled) return target ? say("Still the first answer; “{label}” is at {percent}.", facts) : say("Still the first answer.");
  facts.since = trajectory.since(step);
  if (!target) return say("It changed its mind at step {since}.", facts);
  if (now.position === target.position) return say("It changed its mind at step {since}: this is the target.", facts);
  return say("It changed its mind at step {since}, but not to the target: “{label}” is at {percent}.", facts);
}
