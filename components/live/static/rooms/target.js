import { element, mark, write } from "../element.js";
import { say } from "../words.js";

const SHOWN = 60;
const classes = new Map();

/** The classes of a network: {labels, names, words, favourites}, asked for once. */
export function classesOf(server, model) {
  const address = `classes?model=${encodeURIComponent(model)}`;
  const key = server.at(address);
  if (!classes.has(key)) {
    classes.set(key, server.get(address).catch((error) => {
      classes.delete(key);
      throw error;
    }));
  }
  return classes.get(key);
}

/** Indices of the classes that a text finds, the best first; the favourites for no text. */
export function search({ names, labels, words, favourites }, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [...favourites, ...names.keys()].filter((index, at, all) => all.indexOf(index) === at).slice(0, SHOWN);
  const ranks = names.map((name, index) => {
    const heads = [name.toLowerCase(), labels[index].toLowerCase()];
    const others = words[index].toLowerCase();
    if (heads.includes(wanted)) return 0;
    if (heads.some((head) => head.startsWith(wanted))) return 1;
    if (heads.some((head) => head.includes(` ${wanted}`))) return 2;
    if (heads.some((head) => head.includes(wanted))) return 3;
    return others.includes(wanted) ? 4 : 9;
  });
  return [...names.keys()].filter((index) => ranks[index] < 9).sort((a, b) => ranks[a] - ranks[b] || a - b).slice(0, SHOWN);
}

/** A sheet over the page in which a class is chosen: `chosen(null)` for anything else, else {label, name}. */
export class TargetSheet {
  constructor({ chosen }) {
    this.chosen = chosen;
    this.input = element("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "classes", "aria-autocomplete": "list", "aria-label": say("Make it say"), placeholder: say("Type to search"), autocomplete: "off", autocapitalize: "off", spellcheck: "false", enterkeyhint: "done", "data-test": "target-search" });
    this.list = element("ul", { id: "classes", role: "listbox", "aria-label": say("Classes") });
    this.state = element("p", { class: "quiet", role: "status" });
    const shut = element("button", { type: "button", class: "shut" }, say("Close"));
    shut.onclick = () => this.root.close();
    this.root = element("dialog", { class: "sheet", "aria-label": say("Make it say") }, element("div", { class: "sheet-top" }, this.input, shut), this.state, this.list);
    this.input.oninput = () => this.#list();
    this.input.onkeydown = (event) => this.#key(event);
    this.list.onclick = (event) => this.#take(event.target.closest("[role=option]"));
    this.root.onclick = (event) => event.target === this.root && this.root.close();
  }

  /** Open it over the classes that `load()` brings. */
  async open(load) {
    this.known = null;
    this.input.value = "";
    this.list.replaceChildren();
    this.root.showModal();
    this.input.focus();
    write(this.state, say("One moment …"));
    try {
      this.known = await load();
      this.#list();
    } catch (error) {
      write(this.state, error.message);
    }
  }

  #list() {
    if (!this.known) return;
    const text = this.input.value;
    const found = search(this.known, text);
    const anything = text.trim() ? [] : [this.#option(-1, say("anything else"))];
    this.list.replaceChildren(...anything, ...found.map((index) => this.#option(index, this.known.names[index])));
    write(this.state, found.length ? "" : say("No class is called “{text}”.", { text: text.trim() }));
    this.list.scrollTop = 0;
    this.#mark(0);
  }

  #option(index, name) {
    const text = this.input.value.trim().toLowerCase();
    const option = element("li", { role: "option", id: `class-${index}`, "data-index": index, "aria-selected": "false" }, name);
    const other = index >= 0 && text && !name.toLowerCase().includes(text) ? this.#because(index, text) : "";
    if (other) option.append(element("span", { class: "quiet" }, ` ${other}`));
    return option;
  }

  /** The word by which a class was found. */
  #because(index, text) {
    const { labels, words } = this.known;
    return [labels[index], ...words[index].split("; ")].find((word) => word.toLowerCase().includes(text)) ?? "";
  }

  #mark(at) {
    const options = [...this.list.children];
    this.at = Math.max(0, Math.min(options.length - 1, at));
    options.forEach((option, i) => mark(option, "aria-selected", String(i === this.at)));
    mark(this.input, "aria-activedescendant", options[this.at]?.id);
    options[this.at]?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves) this.#mark(this.at + moves[event.key]);
    else if (event.key === "Enter") this.#take(this.list.children[this.at]);
    else return;
    event.preventDefault();
  }

  #take(option) {
    if (!option) return;
    const index = Number(option.dataset.index);
    this.root.close();
    this.chosen(index < 0 ? null : { label: this.known.labels[index], name: this.known.names[index] });
  }
}
