import { element, mark, write } from "../element.js";
import { levels } from "../numbers.js";
import { say } from "../words.js";
import { Refused } from "./asking.js";

const RANKS = { any: () => say("any other class"), "second likely": () => say("its second guess"), "least likely": () => say("the least likely class"), random: () => say("a random class") };
const NAMED = "named";
const PRESETS = [
  { text: () => say("Epsilon 1/255"), attacks: ["pgd", "bim", "mi_fgsm"], epsilon: 1, steps: 40, words: () => say("Everyone, epsilon 1/255, now") },
  { text: () => say("Epsilon 8/255"), attacks: ["pgd", "bim", "mi_fgsm"], epsilon: 8, steps: 40, words: () => say("Everyone, epsilon 8/255, now") },
  { text: () => say("A single step"), attacks: ["fgsm"], epsilon: 8, words: () => say("Everyone: one step is enough?") },
  { text: () => say("Just noise"), attacks: ["random_noise"], epsilon: 8, steps: 40, words: () => say("Everyone: does noise fool it?") },
  { text: () => say("To the least likely class"), attacks: ["pgd", "bim", "mi_fgsm"], epsilon: 8, steps: 100, target: "least likely", words: () => say("Everyone, to the least likely class") },
];

/** What a link's query asks for, in one line, with the names that the room has for its parts. */
export function described(query, { allowed }) {
  const title = (list, name, part) => list.find((item) => item.name === name)?.[part] ?? name;
  const image = query.image && title(allowed.images, query.image, "label");
  const parts = [query.attack && title(allowed.attacks, query.attack, "title"),
    query.epsilon && say("epsilon {epsilon}", { epsilon: query.epsilon }), query.steps && say("{steps} steps", { steps: query.steps }),
    query.target && query.target !== "any" && say("to {target}", { target: RANKS[query.target]?.() ?? query.target }),
    image, query.model && title(allowed.models, query.model, "title")];
  return parts.filter(Boolean).join(" · ");
}

/** The teacher's recipe for everybody; `send(change)` hands it to the server. What was entered stays. */
export class Broadcasting {
  constructor({ send }) {
    this.send = send;
    const field = (text, input) => element("label", { class: "wall-field" }, element("span", {}, text), input);
    const number = (name, max) => element("input", { type: "number", min: 0, max, step: "any", inputmode: "decimal", "data-test": `broadcast-${name}` });
    this.words = element("input", { type: "text", maxlength: 200, "data-test": "broadcast-words" });
    this.image = element("select", { "data-test": "broadcast-image" });
    this.model = element("select", { "data-test": "broadcast-model" });
    this.attack = element("select", { "data-test": "broadcast-attack" });
    this.epsilon = number("epsilon", 255);
    this.steps = number("steps", 10000);
    this.target = element("select", { "data-test": "broadcast-target" }, ...Object.entries(RANKS).map(([value, text]) => element("option", { value }, text())), element("option", { value: NAMED }, say("a class by its name")));
    this.named = element("input", { type: "text", maxlength: 100, "data-test": "broadcast-class" });
    this.presets = element("div", { class: "presets", role: "group", "aria-label": say("Ready-made") });
    this.refused = element("p", { class: "refusal", role: "alert", "data-test": "broadcast-refused" });
    this.namedField = field(say("Class"), this.named);
    const cancel = element("button", { type: "button", class: "wall-button" }, say("Cancel"));
    const form = element("form", { method: "dialog" }, element("h2", {}, say("Everyone runs this")), this.presets,
      element("div", { class: "wall-fields" }, field(say("Picture"), this.image), field(say("Network"), this.model), field(say("Attack"), this.attack),
        field(say("Epsilon, of 255 grey levels"), this.epsilon), field(say("Steps"), this.steps), field(say("Towards"), this.target), this.namedField),
      field(say("What you say to them"), this.words), this.refused,
      element("div", { class: "ends" }, cancel, element("button", { class: "primary", "data-test": "broadcast-send" }, say("Send to everyone"))));
    this.root = element("dialog", { class: "broadcast", "data-test": "broadcast-dialog", "aria-label": say("Everyone runs this") }, form);
    cancel.onclick = () => this.root.close();
    this.attack.onchange = this.target.onchange = () => this.#fit();
    form.onsubmit = (event) => this.#submit(event);
  }

  open(room) {
    if (!room || this.root.open) return;
    this.allowed = room.allowed;
    choices(this.image, room.allowed.images.map(({ name, label }) => [name, label]));
    choices(this.model, room.allowed.models.map(({ name, title }) => [name, title]));
    choices(this.attack, room.allowed.attacks.map(({ name, title }) => [name, title]));
    const usable = PRESETS.map((preset) => ({ ...preset, attack: preset.attacks.find((name) => room.allowed.attacks.some((attack) => attack.name === name)) })).filter(({ attack }) => attack);
    this.presets.replaceChildren(...usable.map((preset) => {
      const button = element("button", { type: "button", class: "wall-button" }, preset.text());
      button.onclick = () => this.#fill(preset);
      return button;
    }));
    if (!this.filled && usable.length) this.#fill(usable[0]);
    write(this.refused, "");
    this.#fit();
    this.root.showModal();
  }

  #fill({ attack, epsilon, steps, target, words }) {
    const most = this.allowed.epsilon ? Number(levels(this.allowed.epsilon)) : 255;
    this.filled = true;
    this.attack.value = attack;
    this.epsilon.value = Math.min(epsilon, most);
    this.steps.value = Math.min(steps ?? 1, this.allowed.steps);
    this.target.value = target ?? "any";
    this.words.value = words();
    this.#fit();
  }

  #has(name) {
    const attack = this.allowed.attacks.find((one) => one.name === this.attack.value);
    return Boolean(attack?.settings.some((setting) => setting.name === name));
  }

  #fit() {
    for (const name of ["epsilon", "steps"]) this[name].disabled = !this.#has(name);
    this.namedField.hidden = this.target.value !== NAMED;
  }

  get #query() {
    const query = { model: this.model.value, image: this.image.value, attack: this.attack.value };
    if (this.#has("epsilon") && this.epsilon.value) query.epsilon = `${Number(this.epsilon.value)}/255`;
    if (this.#has("steps") && this.steps.value) query.steps = this.steps.value;
    query.target = this.target.value === NAMED ? this.named.value.trim() || "any" : this.target.value;
    return query;
  }

  async #submit(event) {
    event.preventDefault();
    mark(this.root, "data-busy", true);
    try {
      await this.send({ broadcast: this.#query, words: this.words.value });
      this.root.close();
    } catch (error) {
      write(this.refused, error instanceof Refused ? error.message : say("The server could not be reached. Try again."));
    }
    mark(this.root, "data-busy", false);
  }
}

/** Fill a list, and keep what was chosen if it is still there. */
function choices(select, list) {
  const before = select.value;
  select.replaceChildren(...list.map(([value, text]) => element("option", { value }, text)));
  if (list.some(([value]) => value === before)) select.value = before;
}
