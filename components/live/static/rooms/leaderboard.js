import { element, mark } from "../element.js";
import { say } from "../words.js";

document.head.append(element("link", { rel: "stylesheet", href: new URL("leaderboard.css", import.meta.url).href }));

/** A part of the wall: the room's challenges side by side, and who is ahead in each. */
export function create({ server }) {
  const none = element("p", { class: "board-none" }, say("No challenge is set yet."));
  const root = element("section", { class: "leaderboard", "aria-label": say("Leaderboard"), "data-test": "leaderboard" });
  const pictures = new Pictures(server);
  let shown = "";
  return {
    root,
    update({ standings = [], room }) {
      const judging = Boolean(room?.judging);
      const now = JSON.stringify([standings, judging]);
      if (now === shown) return;
      shown = now;
      pictures.only(standings.flatMap(({ rows }) => rows.map(({ picture }) => picture)));
      root.replaceChildren(...(standings.length ? standings.map((challenge) => column(challenge, judging, pictures)) : [none]));
    },
  };
}

function column(challenge, judging, pictures) {
  const head = element("header", {}, element("h2", {}, challenge.title), challenge.open ? "" : element("span", { class: "board-closed" }, say("closed")));
  const rows = element("ol", {}, ...challenge.rows.map((standing) => row(standing, judging, pictures)));
  const rest = challenge.people - challenge.rows.length;
  const foot = element("p", { class: "board-more" }, rest > 0 ? say("and {count} more people", { count: rest }) : challenge.rows.length ? "" : say("Nobody yet."));
  return element("article", { "data-test": "board" }, head, element("p", { class: "board-rule" }, challenge.rule), rows, foot);
}

function row({ rank, name, number, score, mark: people, votes, needed, picture }, judging, pictures) {
  const image = element("img", { alt: "", width: 56, height: 56 });
  pictures.show(image, picture);
  const told = element("span", { class: "board-mark" }, people === "nobody" ? say("fools the network, fools no person") : judging && rank == null ? say("not judged yet ({votes} of {needed})", { votes, needed }) : "");
  const line = element("li", { "data-test": "row", "data-people": people }, element("span", { class: "board-rank" }, rank == null ? "–" : String(rank)), image, element("b", { class: "board-name" }, name || say("Number {number}", { number })), element("span", { class: "board-score" }, score), told);
  mark(line, "data-waiting", rank == null);
  return line;
}

/** The pictures on the board, fetched once with the teacher's key. */
class Pictures {
  constructor(server) {
    this.server = server;
    this.known = new Map();
  }

  show(image, id) {
    if (!this.known.has(id)) {
      const fetched = this.server.bytes(`pictures/${id}.png`).then((bytes) => URL.createObjectURL(bytes));
      fetched.catch(() => this.known.delete(id)); // the next change of the board tries again
      this.known.set(id, fetched);
    }
    this.known.get(id).then((address) => (image.src = address), () => image.removeAttribute("src"));
  }

  /** Let go of the others. */
  only(ids) {
    for (const [id, fetched] of this.known) {
      if (ids.includes(id)) continue;
      this.known.delete(id);
      fetched.then((address) => URL.revokeObjectURL(address), () => {});
    }
  }
}
