import { element, mark, write } from "../element.js";
import { say, speak } from "../words.js";
import { RoomWire, Server } from "./asking.js";
import { create as createBets } from "./bets.js";
import { create as createChallenges } from "./challenges.js";
import { Chooser } from "./chooser.js";
import { askCode, askName, spokenError } from "./entrance.js";
import { Memory } from "./memory.js";
import { Runs } from "./runs.js";
import { RunView } from "./run_view.js";
import { Tabs } from "./tabs.js";
import { create as createVotes } from "./votes.js";

const RETRY = 2000;
const ENDED_BY_ITSELF = ["interrupted", "abandoned"];
const facts = JSON.parse(document.getElementById("facts").textContent);
speak(facts.words, facts.language);
const main = document.getElementById("room");
const server = new Server(facts);
let visit = null;
const memory = new Memory(facts.code);

/** The page of somebody who is in the room. */
class Visit {
  constructor(state) {
    this.member = state.member;
    this.room = state.room;
    this.linked = "open";
    this.name = element("span", { class: "own-name", "data-test": "member" }, state.member.name);
    this.title = element("h1", {}, state.room.title || state.room.code);
    this.line = element("p", { class: "link-line", role: "status", "data-test": "link" });
    this.asked = new Asked({ memory, pressed: (broadcast) => this.#answer(broadcast) });
    this.alert = element("p", { class: "refusal", role: "alert", "data-test": "refusal" });
    this.stop = element("p", { class: "frozen", role: "status", hidden: true, "data-test": "frozen" }, say("The teacher has stopped the room for a moment."));
    this.primary = element("button", { type: "button", class: "primary", "data-test": "run" });
    this.second = element("button", { type: "button", class: "second", "data-test": "second" });
    this.actions = element("div", { class: "actions" }, this.stop, this.alert, element("div", { class: "actions-buttons" }, this.second, this.primary));
    this.chooser = new Chooser({ server, memory, room: state.room, uploads: state.uploads, changed: () => this.#buttons(), refused: (error) => this.#refuse(error) });
    this.view = new RunView({ facts, heard: (run, message) => this.#heard(run, message), start: () => this.#start(this.chooser.query) });
    this.runs = new Runs({ thumbnail: (image) => this.chooser.thumbnail(image), chosen: (run) => this.watch(run) });
    this.play = { root: element("section", { class: "play" }, this.chooser.root, this.view.root, this.runs.root) };
    this.parts = this.#parts();
    this.tabs = new Tabs({ parts: this.parts, turned: (name) => this.#turned(name) });
    main.replaceChildren(header(this.title, this.name), this.line, this.asked.root, ...this.parts.map(({ part }) => part.root), footer(this.member), this.actions, this.tabs.root);
    this.#list(state.runs);
    document.addEventListener("foolscope-fill", ({ detail }) => this.#fill(detail));
    this.#begin(state.runs);
    this.update(state.room);
    this.wire = new RoomWire({ server, hello: { token: server.token }, heard: (message) => this.#hear(message), link: (link) => this.#link(link) });
  }

  #parts() {
    const given = { server, facts, member: this.member, follow: (id) => this.follow(id), runs: () => this.runs.runs };
    const part = (name, title, create) => ({ name, title, part: create(given) });
    return [
      { name: "play", title: say("Run"), part: this.play, always: true },
      part("challenges", say("Challenges"), createChallenges),
      part("votes", say("Look"), createVotes),
      part("bets", say("Bet"), createBets),
    ];
  }

  /** A run that goes on is shown at once; else what to run next. */
  #begin(runs) {
    const going = runs.find((run) => !run.over) ?? runs.find((run) => run.run === memory.get("watched"));
    this.#turn(going ? "view" : "chooser");
    if (going) this.watch(going);
  }

  /** What the room is now. */
  update(room) {
    this.room = room;
    write(this.title, room.title || room.code);
    mark(this.stop, "hidden", !room.frozen);
    this.chooser.allow(room.allowed);
    this.asked.show(room.broadcast, room.frozen, this.runs.runs);
    for (const { part } of this.parts) part.update?.(room);
    this.tabs.update();
    this.#buttons();
  }

  /** Show one of this member's runs, as other parts of the page ask for it by its id. */
  async follow(id) {
    await this.#refresh();
    this.watch(this.runs.runs.find(({ run }) => run === id) ?? { run: id, over: false, status: "waiting", count: 0 });
  }

  watch(run) {
    this.tabs.turn("play");
    memory.set("watched", run.run);
    this.view.watch(run);
    this.#list(this.runs.runs);
    this.#turn("view");
    scrollTo({ top: 0 });
  }

  close() {
    this.wire.close();
    this.view.close();
  }

  // ---- what is pressed -----------------------------------------------------------------

  #turn(side) {
    this.side = side;
    mark(this.play.root, "data-side", side);
    if (side === "chooser") memory.set("watched", null);
    this.#buttons();
  }

  #turned(name) {
    mark(this.actions, "hidden", name !== "play");
    scrollTo({ top: 0 });
  }

  // The one large button is what comes next; the small one beside it leads elsewhere.
  #buttons() {
    if (!this.view) return;
    const { run } = this.view;
    const again = run && (ENDED_BY_ITSELF.includes(run.reason) || ["failed", "gone"].includes(run.status));
    const choose = [say("New run"), () => this.#back()];
    const plans = {
      chooser: [[say("Run"), () => this.#start(this.chooser.query), true], run && [say("Back to the run"), () => this.#turn("view")]],
      live: [[say("Stop"), () => this.#command("cancel")], null],
      paused: [[say("Go on"), () => this.#command("resume")], [say("Stop"), () => this.#command("cancel")]],
      again: [[say("Run it again"), () => this.#start(run.query ?? this.chooser.query), true], choose],
      over: [choose, !this.view.file.hidden && [say("Save"), () => this.view.file.click()]],
    };
    const state = this.side === "chooser" ? "chooser" : run?.status === "paused" ? "paused" : !run?.over ? "live" : again ? "again" : "over";
    const [first, other] = plans[state];
    this.#button(this.primary, first);
    this.#button(this.second, other);
    mark(this.actions, "data-state", state);
  }

  #button(button, plan) {
    mark(button, "hidden", !plan);
    if (!plan) return;
    const [text, act, starts] = plan;
    write(button, text);
    button.onclick = act;
    button.disabled = Boolean(starts && (this.room.frozen || this.starting));
  }

  #back() {
    this.#turn("chooser");
    scrollTo({ top: 0 });
  }

  async #command(action) {
    await this.#tried(() => this.view.command(action));
  }

  async #start(query, broadcast = 0) {
    if (this.room.frozen || this.starting) return;
    this.starting = true;
    this.#buttons();
    await this.#tried(async () => {
      const run = await server.post("runs", { query, broadcast });
      this.#list([{ ...run, broadcast }, ...this.runs.runs]);
      this.asked.show(this.room.broadcast, this.room.frozen, this.runs.runs);
      this.watch(run);
    });
    this.starting = false;
    this.#buttons();
  }

  /** Choose what another part of the page asks for, to be run next. */
  #fill(query) {
    this.chooser.take(query);
    this.tabs.turn("play");
    this.#back();
  }

  #answer(broadcast) {
    this.chooser.take(broadcast.query);
    return this.#start(broadcast.query, broadcast.number);
  }

  async #tried(act) {
    this.#refuse("");
    try {
      await act();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error) {
    write(this.alert, error ? spokenError(error) : "");
  }

  // ---- what is heard -------------------------------------------------------------------

  #heard(run, message) {
    this.#buttons();
    if (message.end) this.#refresh();
  }

  #hear(message) {
    if (message.type === "room") this.update(message.room);
    else if (message.type === "error") leaveRoom(message);
  }

  #link(link) {
    const back = link === "open" && this.linked === "lost";
    this.linked = link;
    write(this.line, link === "lost" ? say("No connection; trying again …") : "");
    if (back) this.#comeBack();
  }

  /** After a gap the server may have gone on, or have started anew. */
  async #comeBack() {
    const before = this.view.run;
    const going = before && !before.over;
    await this.#refresh();
    const now = this.runs.runs.find(({ run }) => run === before?.run);
    if (now && (going || before.status === "gone")) {
      this.view.refresh(now);
      this.#buttons();
    }
  }

  async #refresh() {
    try {
      const { runs } = await server.get("runs");
      this.#list(runs);
    } catch {
      // the line above says that there is no connection; the next message brings it
    }
  }

  #list(runs) {
    this.runs.show(runs, this.side === "view" ? this.view.run?.run : null);
  }
}

/** What the teacher asks everybody to run. */
class Asked {
  constructor({ memory, pressed }) {
    this.memory = memory;
    this.words = element("p", { class: "asked-of-all-words" });
    this.run = element("button", { type: "button", "data-test": "call-run" }, say("Run it"));
    this.shut = element("button", { type: "button", class: "shut", "aria-label": say("Hide this") }, "×");
    this.root = element("section", { class: "asked-of-all", role: "status", "aria-label": say("From the teacher"), hidden: true, "data-test": "call" }, this.words, this.run, this.shut);
    this.run.onclick = () => pressed(this.broadcast);
    this.shut.onclick = () => {
      memory.set("hidden", this.broadcast.number);
      mark(this.root, "hidden", true);
    };
  }

  show(broadcast, frozen, runs) {
    this.broadcast = broadcast;
    const done = broadcast && (runs.some((run) => run.broadcast === broadcast.number) || this.memory.get("hidden") === broadcast.number);
    mark(this.root, "hidden", !broadcast || Boolean(done));
    write(this.words, broadcast?.words || say("Your teacher asks everybody to run this."));
    this.run.disabled = frozen;
  }
}

// ---- coming and going ------------------------------------------------------------------

function header(title, ...more) {
  return element("header", { class: "top" }, title, ...more, languages());
}

/** The same page in the other languages; what is chosen and typed goes along. */
function languages() {
  const links = Object.entries(facts.languages).filter(([name]) => name !== facts.language).map(([name, title]) => {
    const link = element("a", { href: `?lang=${name}`, hreflang: name, lang: name, class: "language", "data-test": `lang-${name}` }, title);
    link.onclick = (event) => {
      event.preventDefault();
      const address = new URL(location.href);
      address.searchParams.set("lang", name);
      address.hash = memory.fragment;
      location.assign(address);
    };
    return link;
  });
  return element("span", { class: "languages" }, ...links);
}

function footer(member) {
  const other = element("button", { type: "button", class: "plain", "data-test": "leave" }, say("Join as somebody else"));
  other.onclick = () => {
    memory.set("token", null);
    location.reload();
  };
  return element("footer", { class: "bottom" }, element("span", {}, say("Not {name}?", { name: member.name })), other);
}

function join(sentence) {
  const entered = ({ token }) => {
    memory.set("token", token);
    memory.set("typed", "");
    enter(token);
  };
  const title = document.title === "Foolscope" ? facts.code : document.title;
  main.replaceChildren(header(element("span", {})), askName({ server, memory, title, sentence, entered }));
}

/** Without a code, or with a wrong one: the page of the code that is typed says whether there is such a room. */
function askForCode() {
  const entered = (code) => {
    server.code = code;
    location.assign(new URL(server.at(""), document.baseURI));
  };
  main.replaceChildren(header(element("span", {})), askCode({ typed: facts.typed, sentence: facts.sentence, entered }));
}

/** The room is over, or has no place for us any more. */
function leaveRoom(error) {
  visit?.close();
  if (error.status === 403) {
    memory.set("token", null);
    join(error.message ?? error.sentence);
  } else {
    main.replaceChildren(header(element("h1", {}, say("This room is closed."))), element("p", { "data-test": "closed" }, say("The teacher has ended it, or its code has changed. What was done in it was deleted.")),
      element("p", {}, element("a", { href: server.base + "/rooms" }, say("Join another room"))));
  }
}

async function enter(token) {
  server.token = token;
  const state = await server.get("me").catch((error) => error);
  if (state.status) leaveRoom(state);
  else if (state instanceof Error) {
    main.replaceChildren(header(element("span", {})), element("p", { role: "status" }, say("No connection; trying again …")));
    setTimeout(() => enter(token), RETRY);
  } else visit = new Visit(state);
}

function begin() {
  if (!facts.code) return askForCode();
  const token = memory.get("token");
  return token ? enter(token) : join();
}

begin();
