import { element, mark, write } from "../element.js";
import { say, speak } from "../words.js";
import { create as createAnswers } from "./answers.js";
import { Refused, RoomWire, Server } from "./asking.js";
import { Bar } from "./bar.js";
import { Broadcasting } from "./broadcast.js";
import { Enlarged } from "./enlarged.js";
import { Header } from "./header.js";
import { create as createLeaderboard } from "./leaderboard.js";
import { Tiles } from "./tiles.js";

const facts = JSON.parse(document.getElementById("facts").textContent);
speak(facts.words, facts.language);
const main = document.getElementById("room");
const server = new Server(facts);
const place = `foolscope.key.${facts.code}`;

/** The key of the address's fragment, which browsers send to nobody, or of this window's memory. */
function remembered() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key) {
    keep(key);
    history.replaceState(null, "", location.pathname + location.search);
    return key;
  }
  try {
    return sessionStorage.getItem(place) ?? "";
  } catch {
    return ""; // a browser that keeps nothing: the key is typed again after a reload
  }
}

function keep(key) {
  try {
    if (key) sessionStorage.setItem(place, key);
    else sessionStorage.removeItem(place);
  } catch {
    return;
  }
}

/** Ask for the key; `sentence`: why it is asked for again. */
function ask(sentence = "") {
  const key = element("input", { type: "password", autocomplete: "off", required: true, "data-test": "key" });
  const form = element("form", { class: "ask", "data-test": "ask" }, element("h1", {}, say("The wall of room {code}", { code: facts.code })),
    element("label", {}, say("The teacher's key"), key), element("button", { class: "primary" }, say("Show the wall")),
    element("p", { class: "refusal", role: "alert" }, sentence));
  form.onsubmit = (event) => {
    event.preventDefault();
    enter(key.value.trim());
  };
  main.replaceChildren(form);
  key.focus();
}

function enter(key) {
  server.token = key;
  let wall = null;
  const wire = new RoomWire({
    server,
    hello: { key },
    heard(message) {
      if (message.type === "wall") {
        keep(key);
        wall ??= new Wall();
        wall.hear(message);
      } else if (message.type === "error") {
        wire.close();
        keep("");
        if (wall) wall.end(message.sentence);
        else ask(message.sentence);
      }
    },
    link: (state) => wall?.link(state),
  });
}

/** Everything that the projector shows. */
class Wall {
  constructor() {
    this.state = { type: "wall", people: 0, fooled: 0, room: null, broadcast: null, standings: [], answers: null, problem: "" };
    this.header = new Header(facts);
    this.tiles = new Tiles({ open: (id) => this.open(id) });
    this.enlarged = new Enlarged({ facts, close: () => this.close(), move: (by) => this.move(by) });
    this.parts = [createLeaderboard({ server, facts }), createAnswers({ server, facts })];
    const [leaderboard, answers] = this.parts.map(({ root }) => element("div", { class: "wall-view" }, root));
    this.unasked = element("p", { class: "wall-nothing" }, say("Nothing is asked at the moment."));
    answers.append(this.unasked);
    this.views = { curves: this.tiles.root, leaderboard, answers };
    this.bar = new Bar({
      show: (name) => this.show(name),
      sort: (fooledFirst) => this.tiles.sort(fooledFirst),
      ask: (change) => this.ask(change),
      broadcast: () => this.broadcasting.open(this.state.room),
      code: () => this.code(),
    });
    this.broadcasting = new Broadcasting({ send: (change) => server.post("teacher", change) });
    this.note = element("p", { class: "wall-note", role: "status", "data-test": "note" });
    this.stage = element("div", { class: "stage-wall" }, ...Object.values(this.views), this.enlarged.root, this.header.poster);
    this.root = element("div", { class: "wall", "data-test": "wall" }, this.header.root, this.note, this.stage, this.bar.root, this.broadcasting.root);
    main.replaceChildren(this.root);
    window.addEventListener("keydown", (event) => this.#key(event), { capture: true });
    this.show("curves");
  }

  hear({ tiles, gone, all, ...parts }) {
    Object.assign(this.state, parts);
    const { state } = this;
    this.tiles.hear({ tiles, gone, all });
    this.header.update(state);
    this.bar.update(state);
    for (const part of this.parts) part.update({ ...state });
    this.unasked.hidden = Boolean(state.answers);
    if (this.large) this.#follow();
    mark(this.root, "data-crowd", state.people > 60);
    this.#arrange();
    this.#say();
  }

  link(state) {
    this.lost = state === "lost";
    this.#say();
  }

  end(sentence) {
    this.over = true;
    main.replaceChildren(element("div", { class: "ask", "data-test": "ended" }, element("h1", {}, say("This room has ended")), element("p", {}, sentence)));
  }

  /** Show curves, leaderboard or answers. */
  show(name) {
    this.view = name;
    this.bar.shown(name);
    this.poster = false;
    this.close();
  }

  open(id) {
    this.large = id;
    this.poster = false;
    this.#arrange();
    this.#follow();
    this.enlarged.root.focus();
  }

  close() {
    const before = this.large;
    this.large = null;
    this.enlarged.stop();
    this.#arrange();
    if (before) this.tiles.focus(before);
  }

  move(by) {
    const next = this.tiles.beside(this.large, by);
    if (next) this.open(next);
  }

  code() {
    this.poster = !this.poster;
    this.#arrange();
  }

  async ask(change) {
    try {
      this.bar.refuse("");
      await server.post("teacher", change);
    } catch (error) {
      this.bar.refuse(error instanceof Refused ? error.message : say("The server could not be reached. Try again."));
    }
  }

  #follow() {
    const tile = this.tiles.get(this.large);
    if (tile) this.enlarged.follow(tile);
    else this.close();
  }

  /** What is in front: the code large (also while nobody is here), one run large, or one of the views. */
  #arrange() {
    const empty = this.view === "curves" && this.state.room && !this.state.people;
    const poster = Boolean(this.poster || empty) && !this.large;
    for (const [name, root] of Object.entries(this.views)) root.hidden = poster || Boolean(this.large) || name !== this.view;
    this.enlarged.root.hidden = !this.large;
    this.header.poster.hidden = !poster;
    mark(this.root, "data-large", Boolean(this.large));
    mark(this.root, "data-poster", poster);
    this.bar.coded(Boolean(this.poster));
    this.tiles.fit();
  }

  #say() {
    write(this.note, this.lost ? say("The connection was lost; trying again …") : this.state.problem);
  }

  #key(event) {
    if (this.over || event.ctrlKey || event.metaKey || event.altKey || this.broadcasting.root.open) return;
    const target = event.composedPath()[0];
    if (target instanceof Element && target.closest("input:not(.scrub),textarea,select,[contenteditable]")) return;
    const done = this.large ? this.enlarged.key(event) : this.#escape(event);
    if (done || this.bar.key(event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  #escape(event) {
    if (event.key !== "Escape" || !this.poster) return false;
    this.code();
    return true;
  }
}

const key = remembered();
if (key) enter(key);
else ask();
