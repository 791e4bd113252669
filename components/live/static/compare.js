import { element, mark, write } from "./element.js";
import { exactPercent, levels, two } from "./numbers.js";
import { axis, PERCENT, Plot } from "./plot.js";
import { Segmented } from "./segmented.js";
import { Trajectory } from "./trajectory.js";
import { Wire } from "./wire.js";
import { say, speak } from "./words.js";

const DRAWN_EVERY = 100;
const views = new WeakMap();
const columns = () => [
  ["attack", ""], ["status", ""], ["since", say("Fooled at step")], ["sure", say("How sure")],
  ["linf", say("Largest change")], ["l2", say("Total change (l2)")], ["gradients", say("Gradients")],
  ["queries", say("Pictures asked")], ["seconds", say("Seconds")],
];
const NAMED = { networks: () => say("Network"), norms: () => say("Kept small") };
const axes = () => [
  { value: "steps", text: say("steps"), title: say("By step of each attack") },
  { value: "queries", text: say("pictures asked"), title: say("By pictures that the network was asked about") },
  { value: "gradients", text: say("gradients"), title: say("By gradients that were computed") },
];
const STATUS = { waiting: () => say("waiting"), running: () => say("running"), paused: () => say("paused") };

/** Show, or go on showing, the runs named in the component's data, in the reader's language. */
export function show({ parentElement, data }) {
  speak(data.words, data.language);
  let view = views.get(parentElement);
  if (!view?.root.isConnected || view.language !== data.language) {
    view?.destroy();
    view = new Compare(parentElement, data);
    views.set(parentElement, view);
  }
  view.update(data);
}

/** Called by Streamlit on unmounting, and also while the component stays: only a real end counts. */
export function leave(parentElement) {
  const end = () => {
    if ((parentElement.host ?? parentElement).isConnected) return;
    views.get(parentElement)?.destroy();
    views.delete(parentElement);
  };
  setTimeout(end, 1000);
}

/** One run among others: what it is called, and what it has said. */
class Entry {
  constructor(base, facts, changed) {
    Object.assign(this, facts);
    this.trajectory = new Trajectory();
    this.status = { status: "waiting", said: ["", {}] };
    this.error = "";
    this.wire = new Wire({
      address: `${base}/runs/${facts.id}`,
      cursor: () => this.trajectory.count,
      heard: (message) => (this.#hear(message), changed()),
      link: () => {},
    });
  }

  get last() {
    return this.trajectory.last;
  }

  /** How sure the network is of what was asked for: the target, or anything but the original. */
  sure(step) {
    const target = this.trajectory.classes.find((c) => c?.role === "target");
    if (target) return this.trajectory.probability(target.position, step);
    const original = this.trajectory.classes.find((c) => c?.role === "original");
    return original ? 1 - this.trajectory.probability(original.position, step) : NaN;
  }

  get fooled() {
    return this.last >= 0 && this.trajectory.scalar("margin", this.last) > 0;
  }

  since() {
    for (let k = 0; k <= this.last; k++) if (this.trajectory.scalar("margin", k) > 0) return k;
    return null;
  }

  at(name, step = this.last) {
    return name === "steps" ? step : this.trajectory.scalar(name, step);
  }

  #hear(message) {
    const { trajectory } = this;
    if (message.type === "run") trajectory.begin(message);
    else if (message.type === "class") trajectory.announce(message);
    else if (message.type === "backfill") trajectory.backfill(message.position, message.values);
    else if (message.type === "rows" && !trajectory.append(message)) this.wire.reconnect();
    else if (message.type === "status") this.status = message;
    else if (message.type === "error") this.error = say(message.sentence);
  }
}

class Compare {
  constructor(parent, data) {
    this.language = data.language;
    this.entries = [];
    this.columns = columns();
    this.axes = axes();
    this.curve = new Plot(say("How sure the network is"));
    this.second = new Plot(say("How large the change is"));
    this.by = new Segmented(say("What the curves are drawn by"), this.axes, () => this.#later());
    this.title = element("h3", {});
    this.under = element("h3", {});
    this.table = element("tbody");
    const head = element("tr", {}, ...this.columns.map(([, word]) => element("th", { scope: "col" }, word)));
    this.named = head.firstChild;
    this.sheet = element("div", { class: "sheet", tabindex: "0" }, element("table", { "data-test": "race-table" }, element("thead", {}, head), this.table));
    this.empty = element("p", { class: "note", "data-test": "compare-empty" });
    this.body = element("div", {}, element("div", { class: "head" }, this.title, this.by.root), this.curve.root, this.under, this.second.root, this.sheet);
    this.root = element("div", { class: "foolscope compare", lang: data.language, "data-test": "compare" }, this.empty, this.body);
    this.#place(parent, data);
  }

  update(data) {
    this.data = data;
    const ids = data.runs.map(({ id }) => id).join();
    if (ids !== this.ids) {
      this.ids = ids;
      this.entries.forEach((entry) => entry.wire.close());
      this.entries = data.runs.map((facts) => new Entry(data.base, facts, () => this.#later()));
    }
    mark(this.root, "data-mode", data.mode);
    requestAnimationFrame(() => [this.curve, this.second].forEach((plot) => plot.readTheme()));
    this.#later();
  }

  destroy() {
    this.entries.forEach((entry) => entry.wire.close());
    clearTimeout(this.timer);
    this.curve.destroy();
    this.second.destroy();
    this.root.remove();
  }

  #place(parent, { base, v }) {
    const href = new URL(`${base}/static/${v}/player.css`, document.baseURI).href;
    const style = element("link", { rel: "stylesheet", href });
    this.root.style.visibility = "hidden";
    style.onload = style.onerror = () => {
      this.root.style.visibility = "";
      this.update(this.data);
    };
    (parent.querySelector(".foolscope-place") ?? parent).replaceChildren(style, this.root);
  }

  #later() {
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      requestAnimationFrame(() => this.#draw());
    }, DRAWN_EVERY);
  }

  #draw() {
    const { entries, data } = this;
    const race = data.mode !== "sweep";
    mark(this.root, "data-runs", this.ids);
    mark(this.root, "data-count", entries.reduce((sum, { trajectory }) => sum + trajectory.count, 0));
    mark(this.root, "data-over", entries.length > 0 && entries.every(({ status, error }) => status.end || error));
    write(this.empty, entries.length ? "" : data.hint);
    mark(this.body, "hidden", !entries.length);
    if (!entries.length) return;
    mark(this.by.root, "hidden", !race);
    mark(this.sheet, "hidden", !race);
    mark(this.second.root, "hidden", race);
    write(this.title, this.#asked());
    write(this.named, NAMED[data.mode]?.() ?? say("Attack"));
    write(this.under, race ? "" : say("how large the change is, in all (l2)"));
    if (race) this.#race();
    else this.#sweep();
  }

  #asked() {
    const { mode, goal, original } = this.data;
    if (mode === "networks")
      return goal
        ? say("how sure each network is of “{goal}”, or, not knowing it, that it is not what it said", { goal })
        : say("how sure each network is that it is not what it said");
    return goal
      ? say("how sure the network is of “{goal}”", { goal })
      : say("how sure the network is that it is not “{original}”", { original });
  }

  #race() {
    const by = this.by.value;
    const series = this.entries.map((entry) => {
      const points = [];
      for (let k = 0; k <= entry.last; k++) points.push([entry.at(by, k), entry.sure(k)]);
      return { label: entry.title, points, dashed: entry.control };
    });
    const ends = this.entries.map((entry) => Math.max(entry.at(by) || 0, by === "steps" ? entry.trajectory.run?.total ?? 1 : 1));
    this.curve.show(series, axis(Math.max(1, ...ends), this.axes.find(({ value }) => value === by).text, 8), PERCENT);
    this.#rows();
  }

  #rows() {
    while (this.table.children.length > this.entries.length) this.table.lastChild.remove();
    this.entries.forEach((entry, i) => {
      const row = this.table.children[i] ?? this.table.appendChild(element("tr", {}, ...this.columns.map(([name]) => element(name === "attack" ? "th" : "td", { "data-cell": name }))));
      mark(row, "data-fooled", entry.fooled);
      const known = entry.last >= 0;
      const numbers = known
        ? {
            since: entry.since() ?? "–", sure: exactPercent(entry.sure(entry.last)), linf: `${levels(entry.at("linf"))}/255`,
            l2: two(entry.at("l2")), gradients: entry.at("gradients"), queries: entry.at("queries"), seconds: two(entry.at("seconds")),
          }
        : {};
      const values = { attack: entry.title, status: this.#verdict(entry), ...numbers };
      this.columns.forEach(([name], k) => write(row.children[k], String(values[name] ?? "")));
      mark(row, "title", entry.error || say(...entry.status.said));
      row.firstChild.style.borderLeft = `3px solid ${this.curve.color(i)}`;
    });
  }

  #verdict(entry) {
    if (entry.error || entry.status.status === "failed") return say("failed");
    if (!entry.status.end) return STATUS[entry.status.status]?.() ?? "";
    if (!entry.fooled) return say("not fooled");
    return entry.limit != null && entry.at(entry.norm) > entry.limit * 1.0001 ? say("fooled, beyond the budget") : say("fooled");
  }

  #sweep() {
    const groups = [...new Set(this.entries.map(({ title }) => title))];
    const lines = (value) => groups.map((title) => {
      const own = this.entries.filter((entry) => entry.title === title && entry.last >= 0).sort((a, b) => a.epsilon - b.epsilon);
      return { label: title, dots: true, dashed: own[0]?.control, points: own.map((entry) => [entry.epsilon, value(entry), entry.fooled]) };
    });
    const most = Math.max(...this.entries.map(({ epsilon }) => epsilon));
    const levelled = this.entries[0].norm === "linf";
    const across = levelled ? scaled(axis(255 * most, "ε / 255", 8), 1 / 255) : axis(most, "ε (l2)", 8);
    this.curve.show(lines((entry) => entry.sure(entry.last)), across, PERCENT);
    const sizes = lines((entry) => entry.at("l2"));
    const top = Math.max(1e-6, ...sizes.flatMap(({ points }) => points.map(([, y]) => y || 0)));
    this.second.show(sizes, across, axis(top, "", 6));
  }
}

const scaled = ({ end, ticks, label }, by) => ({ end: end * by, ticks: ticks.map(({ at, text }) => ({ at: at * by, text })), label });
