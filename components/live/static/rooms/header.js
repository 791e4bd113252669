import { element, mark, write } from "../element.js";
import { say } from "../words.js";
import { described } from "./broadcast.js";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

/** The top of the wall, where to join and how many did; `poster`: the same, as large as the wall. */
export class Header {
  constructor({ code, join, qr }) {
    const link = join || `${location.origin}${location.pathname.replace(/\/wall$/, "")}`;
    this.address = new URL(link);
    this.people = element("b", { "data-test": "people" }, "0");
    this.fooled = element("b", { "data-test": "fooled" }, "0");
    this.title = element("h1");
    this.badge = element("span", { class: "wall-badge", "data-test": "frozen", hidden: true }, say("Stopped for a moment"));
    this.words = element("b");
    this.recipe = element("span", { class: "recipe" });
    this.answered = element("span", { class: "answered", "data-test": "answered" });
    this.call = element("p", { class: "wall-call", "data-test": "call", hidden: true }, this.words, this.recipe, this.answered);
    this.unit = element("span");
    const counts = element("div", { class: "wall-counts" },
      element("span", { class: "wall-count" }, this.people, this.unit),
      element("span", { class: "wall-count fooled" }, this.fooled, element("span", {}, say("fooled the network"))));
    this.root = element("header", { class: "wall-head" }, this.#where(code, qr),
      element("div", { class: "wall-middle" }, element("div", { class: "wall-title" }, this.title, this.badge), this.call), counts);
    this.poster = element("section", { class: "poster", "aria-label": say("Where to join"), hidden: true }, ...this.#where(code, qr, true).childNodes);
    if (LOOPBACK.includes(this.address.hostname)) {
      this.poster.append(element("p", { class: "alone" }, say("This address works on this computer alone. Open the wall by the address that other devices have for it.")));
    }
  }

  update({ people, fooled, room, broadcast }) {
    write(this.people, String(people));
    write(this.unit, people === 1 ? say("person") : say("people"));
    write(this.fooled, String(fooled));
    write(this.title, room.title);
    this.badge.hidden = !room.frozen;
    const asked = room.broadcast;
    this.call.hidden = !asked;
    mark(this.root, "data-call", Boolean(asked));
    if (!asked) return;
    write(this.words, asked.words);
    write(this.recipe, described(asked.query, room));
    const ran = broadcast?.number === asked.number ? broadcast : { ran: 0, fooled: 0 };
    write(this.answered, say("{ran} of {people} ran it, {fooled} fooled the network", { ...ran, people }));
  }

  #where(code, qr, large = false) {
    const host = `${this.address.host}${this.address.pathname.replace(/\/[^/]*$/, "")}`;
    const alt = say("QR code of the address at which to join");
    const picture = qr && element("img", { class: "qr", alt, src: `data:image/svg+xml,${encodeURIComponent(qr)}` });
    const letters = element("p", { class: "letters", "aria-label": `${say("The room's code")}: ${[...code].join(" ")}`, "data-test": large ? null : "code" },
      element("span", { "aria-hidden": "true" }, code.slice(0, 3)), element("span", { "aria-hidden": "true" }, code.slice(3)));
    return element("div", { class: "wall-where" }, ...[picture, element("div", {}, element("p", { class: "wall-address" }, host), letters)].filter(Boolean));
  }
}
