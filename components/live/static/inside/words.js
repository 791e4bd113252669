import { element } from "../element.js";
import { say } from "../words.js";

/** The tab "In words": a paragraph, and under it the figure that each of its sentences rests on. */
export function create({ ask, choices }) {
  const progress = element("progress", { max: 1, value: 0, hidden: true, "aria-label": say("Computing …") });
  const paragraph = element("p", { class: "paragraph", "data-test": "words", "aria-live": "polite" });
  const figures = element("ol", { class: "rests", "data-test": "rests" });
  const about = element("p", { class: "about" }, say("Put together from figures of this run alone; the numbers say on which."));
  const root = element("section", { class: "in-words" }, paragraph, progress, figures, about);

  const write = ({ clauses }) => {
    paragraph.replaceChildren(...clauses.flatMap(({ said, rests }, i) => [
      element("span", { class: "clause", title: say(...rests) }, say(...said), element("sup", {}, i + 1)), " "]));
    figures.replaceChildren(...clauses.map(({ rests }) => element("li", {}, say(...rests))));
  };

  const hear = (line) => {
    if (line.type === "words") write(line);
    progress.hidden = line.type !== "progress";
    if (line.type === "progress") progress.value = line.done / line.of;
  };

  return {
    root,
    show: (step) => ask("words", { step, ...choices }, hear).then(() => (progress.hidden = true)),
    hide: () => (progress.hidden = true),
  };
}
