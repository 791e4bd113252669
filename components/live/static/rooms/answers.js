import { element, mark, write } from "../element.js";
import { say } from "../words.js";

document.head.append(element("link", { rel: "stylesheet", href: new URL("bets.css", import.meta.url).href }));

/**
 * A part of the wall: the question that everybody is asked, with a bar for each answer. How many chose which is
 * shown once the right answer is revealed, or before at the press of a button: nobody should follow the crowd.
 */
export function create({ server }) {
  const asks = element("h2");
  const list = element("ol");
  const people = element("p", { role: "status" });
  const counts = element("button", { type: "button", "data-test": "counts" });
  const reveal = element("button", { type: "button", "data-test": "reveal" }, say("Reveal the answer"));
  const why = element("p", { class: "why" });
  const failed = element("p", { role: "alert" });
  const root = element("section", { class: "answers", hidden: true, "data-test": "answers" },
    asks, list, why, element("div", { class: "foot" }, people, counts, reveal), failed);
  let asked = null;
  let open = false; // whether counts are shown before the end
  let shown = "";
  let rows = [];

  counts.onclick = () => {
    open = !open;
    draw();
  };
  reveal.onclick = async () => {
    write(failed, "");
    try {
      await server.post("reveal", {});
    } catch (error) {
      write(failed, error.status ? error.message : say("The server was not reached: try again."));
    }
  };

  function update(message) {
    if (!("answers" in message)) return;
    asked = message.answers;
    root.hidden = !asked;
    if (asked) draw();
  }

  function draw() {
    build();
    const over = asked.right != null;
    const seen = over || open;
    const most = Math.max(1, asked.people);
    rows.forEach(({ row, count, bar }, number) => {
      const share = asked.counts[number] / most;
      mark(row, "data-right", over && number === asked.right);
      write(count, seen ? `${over && number === asked.right ? "✓ " : ""}${asked.counts[number]}` : "");
      const width = seen ? `${(100 * share).toFixed(1)}%` : "0";
      if (bar.style.width !== width) bar.style.width = width;
    });
    write(people, say("{people} of {members} have bet.", asked));
    write(counts, open ? say("Hide the counts") : say("Show the counts"));
    write(why, asked.why);
    counts.hidden = over;
    reveal.hidden = over;
  }

  function build() {
    const now = JSON.stringify([asked.question, asked.answers]);
    if (now === shown) return;
    shown = now;
    open = false;
    write(asks, asked.asks);
    rows = asked.answers.map((answer, number) => {
      const [count, bar] = [element("span", { class: "count", "data-test": `count-${number}` }), element("span")];
      const row = element("li", {}, element("span", {}, `${"ABCD"[number]}  ${answer}`), count,
        element("div", { class: "bar", "aria-hidden": "true" }, bar));
      return { row, count, bar };
    });
    list.replaceChildren(...rows.map(({ row }) => row));
  }

  return { root, update };
}
