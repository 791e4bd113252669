import { answered } from "./answered.js";
import { Chart } from "./chart.js";
import { Details } from "./details.js";
import { element, mark } from "./element.js";
import { Figures } from "./figures.js";
import { Findings } from "./findings.js";
import { Inside } from "./inside.js";
import { Keys } from "./keys.js";
import { percent } from "./numbers.js";
import { Pace } from "./pace.js";
import { Pictures } from "./pictures.js";
import { Ranking } from "./ranking.js";
import { Replay } from "./replay.js";
import { Trajectory } from "./trajectory.js";
import { Transport } from "./transport.js";
import { Verdict } from "./verdict.js";
import { waiting } from "./waiting.js";
import { Wire } from "./wire.js";
import { say, speak } from "./words.js";

const NARROW = 640;
const SETTLED = 160;
const IDLE_TOTAL = 200;
// Drawing costs the machine that may also be computing: as often as is smooth, and no more.
const DRAWN_EVERY = 32;
const WORDS_EVERY = 300;
const PICTURES_EVERY = 160;
const THRIFTY_EVERY = 500;
const players = new WeakMap();

/** Show, or go on showing, the run named in the component's data, in the reader's language. */
export function show({ parentElement, data, setTriggerValue }) {
  speak(data.words, data.language);
  let player = players.get(parentElement);
  // Another language is another view: the run is the server's and goes on.
  if (!player?.root.isConnected || player.language !== data.language) {
    player?.destroy();
    player = new Player(parentElement, data);
    players.set(parentElement, player);
  }
  player.update(data, setTriggerValue);
}

/** Called by Streamlit on unmounting, and also while the component stays: only a real end counts. */
export function leave(parentElement) {
  const gone = () => !(parentElement.host ?? parentElement).isConnected;
  const end = () => {
    if (!gone()) return;
    players.get(parentElement)?.destroy();
    players.delete(parentElement);
  };
  if (gone()) end();
  else setTimeout(end, 1000);
}

class Player {
  constructor(parent, data) {
    this.language = data.language;
    this.trajectory = new Trajectory();
    this.verdict = new Verdict();
    this.pictures = new Pictures({ changed: () => this.#look(true) });
    this.figures = new Figures();
    this.findings = new Findings();
    this.ranking = new Ranking();
    this.chart = new Chart({ scrubbed: (step) => this.#scrub(step) });
    this.transport = new Transport({ pressed: (name) => this.#press(name) });
    this.replay = new Replay({ moved: (step) => this.#go(step), done: () => this.#settle() });
    this.inside = new Inside();
    this.details = new Details({ arrived: () => this.#later() });
    this.pace = new Pace();
    this.seen = () => this.#seen();
    document.addEventListener("visibilitychange", this.seen);
    const curve = element("div", { class: "curve" }, this.chart.root, this.ranking.root);
    this.root = element("div", { class: "foolscope", lang: data.language, "data-test": "player" },
      this.verdict.root, this.pictures.root, this.figures.root, curve, this.transport.root, this.findings.root, this.inside.root);
    this.keys = new Keys(this.root, (name, amount) => this.#key(name, amount));
    this.#place(parent, data);
  }

  /** New data or a new theme; a run that is already followed goes on untouched. */
  update(data, trigger) {
    this.trigger = trigger;
    this.heard = data.heard; // a page that is not drawn by Streamlit wants to know how the run stands
    this.thrifty = Boolean(data.thrifty); // a phone among hundreds: fewer and smaller pictures
    mark(this.root, "data-present", Boolean(data.present));
    mark(this.root, "data-beside", Boolean(data.beside));
    mark(this.root, "data-compact", Boolean(data.compact));
    // Not in front of an audience, beside another view, nor on one of hundreds of phones.
    this.inside.allow(!(data.present || data.beside || data.compact || data.thrifty));
    const idle = JSON.stringify(data.idle ?? null);
    const changed = data.run !== this.run || this.base !== data.base;
    this.base = data.base;
    this.idle = data.idle;
    if (changed) {
      this.#follow(data.run ?? null);
      this.seenLive = Boolean(data.waiting); // a fast run is over before its first message comes
    }
    else if (!this.run && idle !== this.idleText) this.#rest();
    this.idleText = idle;
    requestAnimationFrame(() => this.chart.readTheme());
    this.#later();
  }

  destroy() {
    this.wire?.close();
    this.replay.stop();
    this.inside.follow(null);
    this.keys.destroy();
    this.chart.destroy();
    this.pace.close();
    document.removeEventListener("visibilitychange", this.seen);
    this.observer.disconnect();
    [this.timer, this.lookTimer, this.drawTimer].forEach(clearTimeout);
    cancelAnimationFrame(this.frame);
    this.root.remove();
  }

  #place(parent, { base, v }) {
    const href = new URL(`${base}/static/${v}/player.css`, document.baseURI).href;
    const style = element("link", { rel: "stylesheet", href });
    this.root.style.visibility = "hidden";
    style.onload = style.onerror = () => {
      this.root.style.visibility = "";
      this.chart.readTheme();
    };
    const place = parent.querySelector(".foolscope-place") ?? parent;
    place.replaceChildren(style, this.root);
    this.observer = new ResizeObserver(() => this.#fit());
    this.observer.observe(place);
    this.#fit();
  }

  // Sizes follow the component's own width: a sidebar takes its share of the window.
  #fit() {
    const { clientWidth } = this.root;
    this.root.style.setProperty("--width", `${clientWidth}px`);
    mark(this.root, "data-narrow", clientWidth < NARROW);
  }

  // ---- the run -------------------------------------------------------------------------

  #follow(run) {
    this.wire?.close();
    this.wire = null;
    this.replay.stop();
    clearTimeout(this.timer);
    this.run = run;
    this.trajectory = new Trajectory();
    this.status = { status: run ? "waiting" : "idle", sentence: "", count: 0 };
    Object.assign(this, { cursor: null, moving: false, credit: false, seenLive: false, error: null, linkState: "open" });
    this.address = run && `${this.base}/runs/${run}`;
    this.details.reset(this.address);
    this.inside.follow(this.base, this.address);
    this.figures.clear();
    if (!run) return this.#rest();
    this.pictures.forget();
    this.verdict.wait();
    this.ranking.show([], { title: say("what it says") });
    // The page's Run button keeps the focus otherwise, and the space bar would press it again.
    if (document.activeElement?.tagName === "BUTTON") this.transport.buttons.play.focus({ preventScroll: true });
    this.wire = new Wire({
      address: this.address,
      cursor: () => this.trajectory.count,
      heard: (message) => this.#hear(message),
      link: (state) => this.#linked(state),
      thrifty: this.thrifty,
    });
  }

  #rest() {
    const { idle } = this;
    if (!idle) return;
    const [best] = idle.top ?? [];
    this.verdict.showIdle(idle);
    const { label, probability } = best ?? {};
    const sentence = best ? say("the network says {label}, {percent}", { label, percent: percent(probability) }) : say("the picture");
    this.pictures.showIdle(idle.image_url, idle.model, sentence);
    this.#later();
  }

  #linked(state) {
    this.linkState = state;
    if (state === "open") Object.assign(this, { credit: false, asked: null });
    this.#later();
  }

  // Nobody sees a hidden page: it gets every step, but seldom, and no pictures.
  #seen() {
    this.#keepPace();
    this.#look(false);
  }

  /** Ask for messages as often as they are drawn. */
  #keepPace() {
    const { seconds } = this.pace;
    if (!this.#live || Math.abs(seconds - this.asked) < 0.2 * this.asked) return;
    if (this.wire?.send({ do: "pace", seconds })) this.asked = seconds;
  }

  #hear(message) {
    const { trajectory } = this;
    if (message.type === "run") {
      trajectory.begin(message);
      this.pictures.fitTo(message.model, message.epsilon);
      this.pictures.original.request(`${this.address}/steps/0/original.${this.thrifty ? "jpg" : "png"}`, "", 0);
      this.pictures.original.describe(say("the original picture"));
    } else if (message.type === "class") trajectory.announce(message);
    else if (message.type === "backfill") trajectory.backfill(message.position, message.values);
    else if (message.type === "rows" && !trajectory.append(message)) this.wire.reconnect();
    else if (message.type === "picture") this.#picture(message);
    else if (message.type === "status") this.#state(message);
    else if (message.type === "error") this.error = say(message.sentence);
    if (message.type === "status" || message.type === "error") this.heard?.(message);
    this.#look(false);
    this.#later();
  }

  #state(message) {
    this.status = message;
    if (!message.end) this.seenLive = true;
    else if (this.seenLive) {
      this.seenLive = false;
      const { run } = this;
      answered().then(() => this.root.isConnected && run === this.run && this.trigger("ended", run));
    }
  }

  get #live() {
    return Boolean(this.run) && !this.error && !this.status.end;
  }

  get #step() {
    return Math.max(0, Math.min(this.cursor ?? this.trajectory.last, this.trajectory.last));
  }

  get #total() {
    if (!this.trajectory.run) return IDLE_TOTAL;
    return this.#live ? Math.max(this.trajectory.run.total, this.trajectory.last) : Math.max(1, this.trajectory.last);
  }

  /** Moving pictures come over the socket only while the newest step is followed. */
  get #streaming() {
    return this.#live && this.cursor == null && this.status.status === "running";
  }

  #look(changed) {
    const open = this.linkState === "open" && !document.hidden;
    if (this.#streaming && open && (changed || !this.credit)) {
      const { gain, view } = this.pictures;
      this.credit = this.wire.send({ do: "look", gain, view });
      this.looked = performance.now();
    }
    if (changed) this.#later();
  }

  #lookAgain() {
    const { wire } = this;
    clearTimeout(this.lookTimer);
    this.lookTimer = setTimeout(() => {
      if (wire !== this.wire) return;
      this.credit = false;
      this.#look(false);
    }, this.looked + (this.thrifty ? THRIFTY_EVERY : PICTURES_EVERY) - performance.now());
  }

  async #picture({ which, step, jpeg }) {
    const last = which === "adversarial";
    if (this.#streaming) await this.pictures[which].take(jpeg, last ? say("live preview") : "", step);
    if (!last) return;
    this.#lookAgain();
    this.#later();
  }

  // ---- what the person does ------------------------------------------------------------

  #press(name) {
    if (name === "first") this.#scrub(0);
    else if (name === "live") this.#catchUp();
    else if (name === "stop") this.replay.running ? this.#halt() : this.wire?.command("cancel");
    else if (name === "step") this.#advance();
    else this.#play();
  }

  #key(name, amount) {
    if (name === "hold") this.pictures.hold(amount);
    else if (name === "start") this.trigger("start", Date.now());
    else if (name === "play") this.#play();
    else if (this.trajectory.count) this.#scrub(this.#step + amount);
  }

  #play() {
    if (!this.run || this.error || (this.status.end && this.trajectory.count < 2)) this.trigger("start", Date.now());
    else if (this.replay.running) this.#halt();
    else if (!this.#live) this.replay.start(this.#step < this.trajectory.last ? this.#step : 0, this.trajectory.last);
    else this.wire.command(this.status.status === "paused" ? "resume" : "pause");
    if (this.#live && this.status.status === "paused") this.#catchUp();
    this.#later();
  }

  #advance() {
    const behind = this.cursor != null && this.cursor < this.trajectory.last;
    if (behind || !this.#live) return this.#scrub(this.#step + 1);
    if (this.status.status === "running") this.wire.command("pause");
    this.wire.command("step");
  }

  #halt() {
    this.replay.stop();
    this.#settle();
  }

  #catchUp() {
    this.cursor = null;
    this.#settle();
    this.#look(false);
  }

  #scrub(step) {
    this.replay.stop();
    this.#go(step);
  }

  #go(step) {
    const last = this.trajectory.last;
    const bounded = Math.max(0, Math.min(last, step));
    this.cursor = !this.#live && bounded === last ? null : bounded;
    this.moving = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#settle(), SETTLED);
    this.#later();
  }

  #settle() {
    clearTimeout(this.timer);
    this.moving = false;
    this.#later();
  }

  // ---- drawing, once per animation frame -----------------------------------------------

  #later() {
    if (this.frame) return;
    clearTimeout(this.drawTimer);
    const first = this.trajectory.count > 0 && this.counted === 0; // the first point is waited for
    const every = first ? 0 : this.#streaming ? this.pace.every : DRAWN_EVERY;
    const wait = this.drawn + every - performance.now();
    if (wait > 0) this.drawTimer = setTimeout(() => this.#drawSoon(), wait);
    else this.#drawSoon();
  }

  #drawSoon() {
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0;
      this.drawn = now;
      this.pace.begin();
      this.#draw();
      this.#keepPace();
    });
  }

  #draw() {
    const { trajectory } = this;
    const step = this.#step;
    this.counted = trajectory.count;
    mark(this.root, "data-status", this.error ? "error" : this.status.status);
    mark(this.root, "data-count", trajectory.count);
    mark(this.root, "data-step", trajectory.count ? step : null);
    mark(this.root, "data-link", this.linkState);
    mark(this.root, "data-run", this.run);
    mark(this.root, "data-replay", this.replay.running);
    this.chart.show(trajectory, step, this.#total, this.#streaming);
    // Nobody reads numbers at every step, and laying out text costs more than the curve: with the pictures.
    if (this.#streaming && !this.pictures.flush() && this.drawn < this.worded + WORDS_EVERY) return;
    this.worded = this.#streaming && trajectory.count > 1 ? this.drawn : -Infinity;
    this.chart.settle();
    if (trajectory.count && trajectory.classes.length) this.#drawStep(step);
    else if (!this.run) this.#drawIdle();
    if (this.error) this.#fail();
    this.transport.show(this.#controls(step));
    this.findings.show(this.status.findings);
    this.inside.show(step, trajectory, { moving: this.#streaming || this.moving || this.replay.running, over: Boolean(this.status.end) });
  }

  #fail() {
    if (this.trajectory.count) this.figures.clear();
    this.verdict.fail(this.error);
  }

  #drawIdle() {
    const top = this.idle?.top ?? [];
    this.ranking.show(top, { title: say("what it says"), original: top[0]?.label, target: this.idle?.target?.label });
  }

  #drawStep(step) {
    const { trajectory, pictures } = this;
    const flowing = this.#streaming || this.moving || this.replay.running;
    const detail = flowing ? undefined : this.details.of(step);
    this.verdict.show(trajectory, step, this.#total, flowing);
    this.figures.show(trajectory, step);
    const [original, target] = ["original", "target"].map((role) => trajectory.classes.find((c) => c?.role === role)?.label);
    this.ranking.show(detail?.top ?? trajectory.top(step, 5), { title: say("what it says at step {step}", { step }), original, target });
    const now = trajectory.top(step, 1)[0];
    const facts = { step, label: now?.label, percent: percent(now?.probability), gain: pictures.gain };
    pictures.adversarial.describe(say("what the network sees at step {step}: {label}, {percent}", facts));
    pictures.perturbation.describe(say("what was added to the original by step {step}, enlarged {gain} times", facts));
    if (!this.#streaming || this.linkState === "polling") this.#fetchPictures(step, flowing, detail);
  }

  #fetchPictures(step, flowing, detail) {
    const small = flowing || this.thrifty;
    const ext = small ? "jpg" : "png";
    const kind = kindOf(small, detail && detail.picture !== step ? detail.picture : null);
    for (const which of ["perturbation", "adversarial"]) {
      const query = which === "perturbation" ? this.pictures.query : "";
      this.pictures[which].request(`${this.address}/steps/${step}/${which}.${ext}${query}`, which === "adversarial" ? kind : "", step);
    }
  }

  #controls(step) {
    const { trajectory, status, error } = this;
    const live = this.#live;
    const some = trajectory.count > 1;
    const running = (live && status.status !== "paused") || this.replay.running;
    let play = "run";
    if (running) play = "pause";
    else if (live) play = "resume";
    else if (this.run && some) play = "again";
    const can = { first: some && step > 0, play: true, step: live || step < trajectory.last, stop: live || this.replay.running };
    return { play, can, live, following: this.cursor == null, sentence: this.#sentence(step), alarm: status.status === "failed" };
  }

  #sentence(step) {
    const { status, linkState } = this;
    if (!this.run || this.error) return "";
    if (this.replay.running) return say("Replay, step {step} of {last}", { step, last: this.trajectory.last });
    if (linkState === "lost" && this.#live) return say("The connection was lost; trying again …");
    if (status.end) return told(status) || say("It has ended.");
    const behind = this.cursor != null;
    if (status.status === "waiting") return waiting(status);
    if (status.status === "running") return behind ? say("Running; you are looking at step {step}", { step }) : say("Running");
    if (status.reason === "unwatched") return told(status);
    if (status.status === "paused") return behind ? say("Paused; you are looking at step {step}", { step }) : say("Paused");
    return told(status);
  }
}

// The server's sentence; it comes as what is said and the facts in it.
const told = ({ said }) => (said ? say(...said) : "");

/** What is shown: a preview or the exact picture; `step` when a nearby step's stands for it, else null. */
function kindOf(flowing, step) {
  if (step == null) return flowing ? say("live preview") : say("lossless");
  return flowing ? say("live preview, step {step}", { step }) : say("lossless, step {step}", { step });
}
