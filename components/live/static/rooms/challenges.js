import { element, mark, write } from "../element.js";
import { say } from "../words.js";

document.head.append(element("link", { rel: "stylesheet", href: new URL("challenges.css", import.meta.url).href }));
const PERIOD = 20_000;
const SHOWN = 12;

/**
 * A part of a member's page: the room's challenges, what to do in plain words, how this member stands, and a
 * button that hands in a run. "Set it up" sends the event "foolscope-fill" with a link's query.
 */
export function create({ server, runs = () => [] }) {
  const root = element("section", { class: "challenges", hidden: true, "data-test": "challenges" });
  const cards = new Map();
  const part = { root, waiting: false, update };
  let room = null;
  let mine = {};
  let order = "";

  function update(now) {
    room = now;
    const listed = room.challenges ?? [];
    for (const challenge of listed) {
      if (!cards.has(challenge.id)) cards.set(challenge.id, new Card({ server, runs, handed: () => ask() }));
    }
    for (const id of cards.keys()) {
      if (!listed.some((challenge) => challenge.id === id)) cards.delete(id);
    }
    const before = order;
    order = listed.map(({ id }) => id).join();
    if (order !== before) root.replaceChildren(...listed.map(({ id }) => cards.get(id).root));
    root.hidden = !listed.length;
    show();
    if (order !== before && order) ask();
  }

  function show() {
    for (const challenge of room.challenges ?? []) cards.get(challenge.id).show(challenge, room, mine[challenge.id]);
  }

  async function ask() {
    try {
      ({ mine } = await server.get("challenges"));
    } catch {
      return; // the page says that there is no connection; the next round brings it
    }
    if (room) show();
  }

  // Others overtake; a page that nobody looks at does not ask.
  setInterval(() => order && document.visibilityState === "visible" && root.offsetParent && ask(), PERIOD);
  // The part is opened by a tab: what was run meanwhile can be handed in.
  new IntersectionObserver(([entry]) => entry.isIntersecting && room && ask()).observe(root);
  return part;
}

class Card {
  constructor({ server, runs, handed }) {
    Object.assign(this, { server, runs, handed, busy: false });
    this.title = element("h2", {});
    this.state = element("span", { class: "challenge-state" });
    this.rule = element("p", { class: "challenge-rule" });
    this.mine = element("p", { class: "challenge-mine", "data-test": "mine" });
    this.set = element("button", { type: "button", "data-test": "set-up" }, say("Set it up"));
    this.pick = element("select", { "aria-label": say("Which run to hand in"), "data-test": "pick" });
    this.hand = element("button", { type: "button", class: "primary", "data-test": "hand-in" }, say("Hand in this run"));
    this.file = element("input", { type: "file", accept: "image/png", class: "spoken-only", "data-test": "file" });
    this.label = element("label", { class: "challenge-file" }, this.file, element("span", {}, say("or a PNG file that you saved")));
    this.verdict = element("p", { class: "challenge-verdict", role: "status", "data-test": "verdict" });
    this.none = element("p", { class: "challenge-none" }, say("Run it first: what can be handed in stands here then."));
    this.offer = element("div", { class: "challenge-offer" }, this.pick, this.hand, this.none, this.label);
    this.root = element("article", { class: "challenge", "data-test": "challenge" }, element("header", {}, this.title, this.state), this.rule, this.set, this.offer, this.verdict, this.mine);
    this.set.onclick = () => this.root.dispatchEvent(new CustomEvent("foolscope-fill", { bubbles: true, composed: true, detail: this.challenge.query }));
    this.hand.onclick = () => this.#send({ run: this.pick.value });
    this.file.onchange = () => this.#file();
  }

  show(challenge, room, mine) {
    this.challenge = challenge;
    mark(this.root, "data-kind", challenge.kind);
    write(this.title, challenge.title);
    write(this.rule, challenge.rule);
    write(this.state, challenge.open ? "" : say("closed"));
    mark(this.offer, "hidden", !challenge.open);
    mark(this.set, "hidden", !challenge.open);
    this.frozen = room.frozen;
    this.#options();
    this.#stand(mine, room.judging);
  }

  /** The runs that began with the challenge's picture and are over, the newest first. */
  #options() {
    const { model, image } = this.challenge.query;
    const hidden = this.challenge.kind === "hidden_model";
    const fitting = this.runs().filter((run) => run.over && run.count > 1 && run.image === image && (hidden || run.model === model)).slice(0, SHOWN);
    const key = fitting.map(({ run }) => run).join();
    if (key !== this.options) {
      this.options = key;
      const chosen = this.pick.value;
      this.pick.replaceChildren(...fitting.map((run) => element("option", { value: run.run }, described(run))));
      if (fitting.some(({ run }) => run === chosen)) this.pick.value = chosen;
    }
    mark(this.pick, "hidden", !fitting.length);
    mark(this.hand, "hidden", !fitting.length);
    mark(this.none, "hidden", fitting.length > 0);
    this.hand.disabled = this.busy || this.frozen;
    this.file.disabled = this.busy || this.frozen;
  }

  #stand(mine, judging) {
    write(this.mine, mine ? standing(mine, judging) : "");
    mark(this.mine, "data-rank", mine?.rank ?? null);
  }

  #file() {
    const [file] = this.file.files;
    this.file.value = "";
    // As a picture whatever it is: what it is, the server finds out by itself.
    if (file) this.#send(new Blob([file], { type: "image/png" }));
  }

  async #send(what) {
    if (this.busy) return;
    this.busy = true;
    this.hand.disabled = this.file.disabled = true;
    this.#say(say("The server judges the file …"), "");
    try {
      const judged = await this.server.post(`challenges/${this.challenge.id}/submissions`, what);
      this.#say([judged.sentence, judged.counts ? judged.score : ""].filter(Boolean).join(" "), judged.counts ? "counts" : "not");
      this.handed();
    } catch (error) {
      this.#say(error.status ? error.message : say("The server could not be reached. Try again."), "not");
    }
    this.busy = false;
    this.#options();
  }

  #say(text, outcome) {
    write(this.verdict, text);
    mark(this.verdict, "data-outcome", outcome);
    this.verdict.scrollIntoView({ block: "nearest" });
  }
}

function described(run) {
  const facts = { number: run.number ?? "", original: run.original, label: run.label ?? "" };
  return run.fooled ? say("{original} → {label}", facts) : say("{original}, not fooled", facts);
}

function standing({ rank, score, attempts, mark: people, votes, needed }, judging) {
  const best = say("Your best: {score}. Attempts: {attempts}.", { score, attempts });
  if (rank != null && people === "nobody") return `${say("You are number {rank}.", { rank })} ${best} ${say("It fools the network and fools no person.")}`;
  if (rank != null) return `${say("You are number {rank}.", { rank })} ${best}`;
  return judging ? `${best} ${say("Not judged yet: {votes} of {needed} people have looked.", { votes, needed })}` : best;
}
