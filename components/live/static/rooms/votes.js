import { element, mark, write } from "../element.js";
import { say } from "../words.js";

document.head.append(element("link", { rel: "stylesheet", href: new URL("challenges.css", import.meta.url).href }));
const AGAIN = 6000;

/**
 * A part of a member's page: somebody else's picture for two seconds, then four names to choose from.
 * `waiting`: there is a picture to look at.
 */
export function create({ server }) {
  const frame = element("div", { class: "votes-frame", "data-test": "frame" });
  const begin = element("button", { type: "button", class: "primary", "data-test": "look" }, say("Show it"));
  const next = element("button", { type: "button", class: "primary", "data-test": "next" }, say("Next picture"));
  const names = element("div", { class: "votes-names", role: "group", "aria-label": say("What was it?"), "data-idle": true, "data-test": "names" });
  const told = element("p", { class: "votes-told", role: "status", "data-test": "told" });
  const count = element("p", { class: "votes-count", "data-test": "judged" });
  const root = element("section", { class: "votes", hidden: true, "data-test": "votes" },
    element("h2", {}, say("What do you see?")), told, frame, names, count);
  const part = { root, waiting: false, update };
  let judging = false;
  let stage = "none"; // none, ready, looking, asking, told
  let ballot = null;
  let timer = 0;

  function update(room) {
    const before = judging;
    judging = Boolean(room.judging);
    root.hidden = !judging;
    if (judging && !before) ask();
    if (!judging) stop();
  }

  function stop() {
    clearTimeout(timer);
    stage = "none";
    part.waiting = false;
    empty();
  }

  /** Is there something to look at? */
  async function ask() {
    clearTimeout(timer);
    try {
      ballot = await server.get("vote");
      judged(ballot.judged);
      if (ballot.seen) return seen();
      if (ballot.picture) return ready();
      nothing(say("Nothing to look at now: pictures of others appear here."));
    } catch (error) {
      nothing(error.status ? error.message : say("The server could not be reached. Try again."));
    }
    if (judging) timer = setTimeout(ask, AGAIN * (0.75 + Math.random() / 2));
  }

  function ready() {
    if (!judging) return;
    begin.disabled = false;
    stage = "ready";
    part.waiting = true;
    told_(say("Somebody's picture is shown for two seconds. Then say what it was."));
    empty();
    frame.replaceChildren(begin);
  }

  async function look() {
    begin.disabled = true;
    const picture = element("img", { alt: say("A picture that somebody handed in"), draggable: "false" });
    try {
      picture.src = URL.createObjectURL(await server.bytes(`pictures/${ballot.picture}.png`));
      await picture.decode();
    } catch (error) {
      begin.disabled = false;
      if (error.status) ask(); // it was shown already, or taken back
      else told_(say("The server could not be reached. Try again."));
      return;
    }
    if (!judging) return;
    ballot.shown = picture;
    stage = "looking";
    part.waiting = false;
    told_("");
    mark(frame, "data-mask", false);
    frame.replaceChildren(picture);
    timer = setTimeout(hide, 1000 * ballot.seconds);
  }

  /** It was shown, before this page was loaded anew, and the server shows it once. */
  function seen() {
    part.waiting = true;
    hide();
  }

  /** A mask in its place: what the eye keeps of it fades. */
  function hide() {
    stage = "asking";
    if (ballot.shown) URL.revokeObjectURL(ballot.shown.src);
    frame.replaceChildren();
    mark(frame, "data-mask", true);
    told_(say("What was it?"));
    names.replaceChildren(...ballot.names.map(({ choice, name }, at) => {
      const button = element("button", { type: "button", "data-choice": choice, "aria-keyshortcuts": String(at + 1) }, name);
      button.onclick = () => choose(button, choice);
      return button;
    }));
    mark(names, "data-idle", false);
    names.firstChild.focus({ preventScroll: true });
  }

  async function choose(button, choice) {
    if (stage !== "asking") return;
    stage = "told";
    part.waiting = false;
    for (const each of names.children) each.disabled = true;
    mark(button, "data-chosen", true);
    try {
      const answer = await server.post("votes", { picture: ballot.picture, choice });
      judged(answer.judged);
      for (const each of names.children) mark(each, "data-right", each.textContent === answer.true);
      told_(answer.right ? say("Right. The network says {label}.", { label: answer.says }) : say("It was {true}. The network says {label}.", { true: answer.true, label: answer.says }), answer.right ? "right" : "wrong");
    } catch (error) {
      told_(error.status ? error.message : say("The server could not be reached. Try again."));
    }
    mark(frame, "data-mask", false);
    frame.replaceChildren(next);
    next.focus({ preventScroll: true });
  }

  function nothing(text) {
    stage = "none";
    part.waiting = false;
    empty();
    told_(text);
  }

  function empty() {
    frame.replaceChildren();
    mark(frame, "data-mask", false);
    names.replaceChildren();
    mark(names, "data-idle", true);
  }

  function told_(text, outcome = null) {
    write(told, text);
    mark(told, "data-outcome", outcome);
  }

  function judged(number) {
    write(count, number ? say("You have judged {number}.", { number }) : "");
  }

  begin.onclick = look;
  next.onclick = () => {
    next.blur();
    ask();
  };
  document.addEventListener("keydown", (event) => {
    if (stage !== "asking" || !root.offsetParent || event.ctrlKey || event.metaKey || event.altKey) return;
    names.children[Number(event.key) - 1]?.click();
  });
  return part;
}
