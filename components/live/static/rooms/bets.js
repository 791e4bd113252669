import { element, mark, write } from "../element.js";
import { say } from "../words.js";

document.head.append(element("link", { rel: "stylesheet", href: new URL("bets.css", import.meta.url).href }));

/**
 * A part of a member's page: the question that everybody is asked, and the member's bet on it, which may be
 * changed until the right answer is revealed. `waiting`: it asks for something.
 */
export function create({ server }) {
  const asks = element("h2", { id: "bet-asks" });
  const list = element("div", { class: "bet-answers", role: "radiogroup", "aria-labelledby": "bet-asks" });
  const told = element("p", { class: "bet-told", role: "status" });
  const failed = element("p", { class: "bet-failed", role: "alert" });
  const root = element("section", { class: "bets", hidden: true, "data-test": "bets" },
    element("p", { class: "bet-head" }, say("Bet before you see it")), asks, list, told, failed);
  let bets = null; // what this member has bet, by question; null while that is not known
  let asked = null;
  let buttons = [];
  let shown = "";
  const part = { root, waiting: false, update };

  function update(room) {
    asked = room.asked ?? null;
    root.hidden = !asked;
    if (asked && !bets) know();
    else draw();
  }

  async function know() {
    bets = {};
    try {
      bets = { ...(await server.get("bets")).bets, ...bets };
    } catch {
      bets = null; // asked again with the next message of the room
      return;
    }
    draw();
  }

  function draw() {
    part.waiting = Boolean(asked && asked.right == null && bets && !(asked.question in bets));
    if (!asked) return;
    build();
    const mine = bets?.[asked.question];
    const over = asked.right != null;
    const reachable = over ? -1 : (mine ?? 0);
    buttons.forEach((button, number) => {
      mark(button, "aria-checked", mine === number ? "true" : "false");
      mark(button, "aria-disabled", over ? "true" : null);
      mark(button, "tabindex", over || number === reachable ? "0" : "-1");
      mark(button, "data-right", over && number === asked.right);
      write(button.lastChild, over && number === asked.right ? "✓" : over && mine === number ? "✗" : "");
    });
    write(told, words(mine, over));
    mark(told, "data-outcome", over && mine != null ? (mine === asked.right ? "right" : "wrong") : null);
  }

  function build() {
    const now = JSON.stringify([asked.question, asked.answers]);
    if (now === shown) return;
    shown = now;
    write(asks, asked.asks);
    write(failed, "");
    buttons = asked.answers.map((answer, number) => {
      const button = element("button", { type: "button", role: "radio", "data-test": `answer-${number}` },
        element("span", { class: "bet-letter", "aria-hidden": "true" }, "ABCD"[number]), element("span", {}, answer), element("span", { class: "bet-mark" }));
      button.onclick = () => choose(number);
      button.onkeydown = (event) => move(event, number);
      return button;
    });
    list.replaceChildren(...buttons);
  }

  function words(mine, over) {
    if (!over) return mine == null ? say("Choose an answer.") : say("You said {answer}. You can change it until it is revealed.", { answer: "ABCD"[mine] });
    if (mine == null) return say("{answer} is right. {why}", { answer: "ABCD"[asked.right], why: asked.why });
    if (mine === asked.right) return say("You said {answer}: right. {why}", { answer: "ABCD"[mine], why: asked.why });
    return say("You said {answer}, but {right} is right. {why}", { answer: "ABCD"[mine], right: "ABCD"[asked.right], why: asked.why });
  }

  async function choose(number) {
    if (!asked || asked.right != null || !bets) return;
    const { question } = asked;
    const before = bets[question];
    bets[question] = number;
    write(failed, "");
    draw();
    try {
      await server.post("bets", { question, answer: number });
    } catch (error) {
      if (bets[question] === number) {
        if (before == null) delete bets[question];
        else bets[question] = before;
      }
      write(failed, error.status ? error.message : say("Your bet did not reach the server: try again."));
      draw();
    }
  }

  /** Arrow keys move between the answers, as in every group of radio buttons; Space or Enter bets. */
  function move(event, number) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    buttons[(number + step + buttons.length) % buttons.length].focus();
  }

  return part;
}
