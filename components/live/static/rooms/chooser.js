import { element, mark, write } from "../element.js";
import { percent } from "../numbers.js";
import { say } from "../words.js";
import { send, smaller } from "./photo.js";
import { TargetSheet, classesOf } from "./target.js";

const LEVELS = ["0.5", "1", "2", "4", "8", "16", "32"];
const STEP_SIZES = ["0.05", "0.1", "0.25", "1", "2"];
const STEPS = ["10", "20", "40", "100", "200"];
const BEGIN = { epsilon: "8/255", step_size: "0.1/255", steps: "40" };
const LASTING = "5x";
const UPLOAD = "upload:";

/** What is to be run: picture, network, attack, a few settings, and what the network shall say. */
export class Chooser {
  constructor({ server, memory, room, uploads, changed, refused }) {
    Object.assign(this, { server, memory, changed, refused, uploads: [...uploads], known: new Map(), own: new Map() });
    this.choice = { targets: {}, settings: {}, ...memory.get("choice") };
    this.sheet = new TargetSheet({ chosen: (target) => this.#aim(target) });
    this.image = element("img", { class: "seen-picture", alt: "", width: 224, height: 224 });
    this.says = element("p", { class: "seen-says", role: "status", "data-test": "seen" });
    this.strip = element("div", { class: "strip", role: "radiogroup", "aria-label": say("Picture"), "data-test": "strip" });
    this.progress = element("progress", { max: 1, hidden: true, "aria-label": say("Sending the photo") });
    this.aim = element("b", {});
    this.target = element("button", { type: "button", class: "target", "data-test": "target" }, element("span", { class: "asked" }, say("Make it say")), this.aim);
    this.target.onclick = () => this.sheet.open(() => classesOf(server, this.choice.model));
    this.network = element("span", { class: "quiet" });
    this.attack = element("b", {});
    this.summary = element("summary", { "data-test": "how" }, element("span", {}, this.network, this.attack));
    this.how = element("details", { class: "how" }, this.summary);
    const seen = element("div", { class: "seen" }, this.image, element("div", { class: "seen-side" }, this.says, this.target));
    this.root = element("section", { class: "chooser", "aria-label": say("What to run"), "data-test": "chooser" }, seen, this.strip, this.progress, this.how, this.sheet.root);
    this.allow(room.allowed);
  }

  /** Follow what the room allows now; what is chosen stays chosen as far as it is still allowed. */
  allow(allowed) {
    const text = JSON.stringify(allowed);
    if (text === this.allowedText) return;
    Object.assign(this, { allowed, allowedText: text });
    this.#fit();
    this.#strip();
    this.#how();
    this.#show();
  }

  /** Take over what a link's query says: a broadcast's, or an earlier run's. */
  take({ model, image, attack, target, ...settings }) {
    const { choice } = this;
    Object.assign(choice, { model: model ?? choice.model, image: image ?? choice.image, attack: attack ?? choice.attack });
    for (const name of Object.keys(BEGIN)) if (settings[name]) choice.settings[name] = settings[name];
    const { stop, survives } = settings;
    this.along = { model: choice.model, image: choice.image, more: { ...(stop && { stop }), ...(survives && { survives }) } };
    const label = target === "any" ? null : target;
    if (target !== undefined) choice.targets[choice.model] = label && { label, name: label };
    this.#fit();
    this.#strip();
    this.#how();
    this.#show();
  }

  /** What is chosen, as a link's query. */
  get query() {
    const { model, image, attack, settings, targets } = this.choice;
    const own = Object.fromEntries(this.#attack.settings.map(({ name }) => [name, settings[name]]));
    // What a challenge or the teacher asks for beside goes with that network and picture alone.
    const more = this.along?.model === model && this.along.image === image ? this.along.more : {};
    const target = targets[model]?.label;
    // Without a target the usual rule ends where the first answer is improbable, which the best may still be.
    const stop = !target && own.step_size ? { stop: LASTING } : {};
    return { model, image, attack, target: target ?? "any", ...own, ...stop, ...more };
  }

  /** A thumbnail's address of a picture. */
  thumbnail(image) {
    return image.startsWith(UPLOAD) ? this.own.get(image) ?? null : this.server.sample(image);
  }

  get #attack() {
    return this.allowed.attacks.find(({ name }) => name === this.choice.attack);
  }

  get #model() {
    return this.allowed.models.find(({ name }) => name === this.choice.model);
  }

  // ---- what is allowed -----------------------------------------------------------------

  #fit() {
    const { allowed, choice } = this;
    const first = (list, name, usual) => (list.find((entry) => entry.name === name) ?? list.find((entry) => entry.name === usual) ?? list[0])?.name;
    choice.model = first(allowed.models, choice.model);
    choice.attack = first(allowed.attacks, choice.attack, "bim");
    const mine = allowed.uploads && this.uploads.includes(choice.image);
    if (!mine) choice.image = this.#pictures.some(({ name }) => name === choice.image) ? choice.image : this.#pictures[0]?.name;
    for (const setting of this.#attack.settings) {
      const offered = this.#offered(setting);
      const begin = offered.includes(BEGIN[setting.name]) && setting.name !== "steps" ? BEGIN[setting.name] : this.#usualSteps(setting, offered);
      if (!offered.includes(choice.settings[setting.name])) choice.settings[setting.name] = begin;
    }
  }

  #usualSteps({ name, usual }, offered) {
    const many = this.#attack.settings.some((setting) => setting.name === "step_size") && name === "steps" ? BEGIN.steps : usual;
    return offered.includes(many) ? many : offered.at(-1);
  }

  /** The values of a setting from which to choose, as an address writes them. */
  #offered({ name, usual, level }) {
    const { epsilon, steps } = this.allowed;
    const value = (text) => (text.endsWith("/255") ? parseFloat(text) / 255 : parseFloat(text));
    const most = name === "steps" ? steps : name === "epsilon" && level && epsilon ? epsilon * (1 + 1e-6) : Infinity;
    if (name !== "steps" && !level) return [usual];
    const usually = name === "steps" ? STEPS : (name === "epsilon" ? LEVELS : STEP_SIZES).map((text) => `${text}/255`);
    const largest = most === Infinity ? [] : [name === "steps" ? String(steps) : `${+(255 * epsilon).toPrecision(4)}/255`];
    const chosen = this.choice.settings[name] ?? usual;
    const by = new Map([...usually, usual, chosen, ...largest].map((text) => [value(text).toPrecision(6), text]));
    return [...by.values()].filter((text) => value(text) <= most).sort((a, b) => value(a) - value(b));
  }

  /** The room's pictures, those for the chosen network first. */
  get #pictures() {
    const channels = this.#model?.channels;
    const fits = ({ channels: own }) => Number((own === 1) === (channels === 1));
    return [...this.allowed.images].sort((a, b) => fits(b) - fits(a));
  }

  // ---- pictures ------------------------------------------------------------------------

  #strip() {
    const { allowed } = this;
    const tiles = [];
    if (allowed.uploads) tiles.push(this.#source(say("Photo"), "photo", {}));
    if (allowed.uploads && allowed.camera) tiles.push(this.#source(say("Camera"), "camera", { capture: "environment" }));
    if (allowed.uploads) tiles.push(...[...this.uploads].reverse().map((name) => this.#tile({ name, label: say("My photo") })));
    this.strip.replaceChildren(...tiles, ...this.#pictures.map((picture) => this.#tile(picture)));
    this.strip.querySelector(":checked")?.closest("label").scrollIntoView({ inline: "center", block: "nearest" });
  }

  #tile({ name, label }) {
    const input = element("input", { type: "radio", name: "picture", value: name, checked: name === this.choice.image });
    const picture = element("img", { alt: "", width: 64, height: 64 });
    const address = this.thumbnail(name);
    if (address) this.#later(picture, address);
    else this.#ask(this.choice.model, name).then(({ picture: seen }) => (picture.src = seen), () => tile.remove());
    const tile = element("label", { class: "tile", title: label }, input, picture, element("span", { class: "spoken-only" }, label));
    input.onchange = () => this.#choose({ image: name });
    return tile;
  }

  // A browser's own lazy loading fetches a whole strip; a phone among hundreds fetches what is to be seen.
  #later(picture, address) {
    this.addresses ??= new WeakMap();
    this.watcher ??= new IntersectionObserver((entries) => {
      for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
        target.src = this.addresses.get(target);
        this.watcher.unobserve(target);
      }
    }, { root: this.strip, rootMargin: "0px 72px" });
    this.addresses.set(picture, address);
    this.watcher.observe(picture);
  }

  #source(text, name, more) {
    const input = element("input", { type: "file", accept: "image/*", "data-test": name, ...more });
    input.onchange = () => {
      const [file] = input.files;
      if (file) this.#send(file);
      input.value = "";
    };
    return element("label", { class: `tile source ${name}` }, input, element("span", {}, text));
  }

  async #send(file) {
    this.refused("");
    mark(this.progress, "hidden", null);
    this.progress.removeAttribute("value");
    try {
      const blob = await smaller(file);
      const name = await send(this.server, blob, file.name, (share) => (this.progress.value = share));
      this.uploads.push(name);
      this.#choose({ image: name });
      this.#strip();
    } catch (error) {
      this.refused(error);
    }
    mark(this.progress, "hidden", true);
  }

  /** What a network says of a picture, asked for once. */
  #ask(model, image) {
    const key = `${model} ${image}`;
    if (!this.known.has(key)) {
      const asked = this.server.get(`seen?model=${encodeURIComponent(model)}&image=${encodeURIComponent(image)}`);
      this.known.set(key, asked);
      asked.then(({ picture }) => image.startsWith(UPLOAD) && this.own.set(image, picture), () => this.known.delete(key));
    }
    return this.known.get(key);
  }

  // ---- the rest ------------------------------------------------------------------------

  #choose(parts) {
    Object.assign(this.choice, parts);
    this.#show();
  }

  #aim(target) {
    this.choice.targets[this.choice.model] = target;
    this.#show();
    this.target.focus();
  }

  #how() {
    const { allowed, choice } = this;
    const network = this.#select(say("Network"), allowed.models, choice.model, (model) => {
      const before = this.#model.channels;
      choice.model = model;
      if (before !== this.#model.channels && !this.uploads.includes(choice.image)) choice.image = this.#pictures[0].name;
      this.#strip();
      this.#show();
    }, "model");
    const attack = this.#select(say("Attack"), allowed.attacks, choice.attack, (name) => {
      choice.attack = name;
      this.#fit();
      this.#how();
      this.#show();
      this.how.querySelector("[data-test=attack]")?.focus();
    }, "attack");
    const settings = this.#attack.settings.map((setting) => this.#select(setting.label, this.#offered(setting).map((text) => ({ name: text, title: text })), choice.settings[setting.name], (text) => {
      choice.settings[setting.name] = text;
      this.#show();
    }, setting.name));
    const about = element("p", { class: "quiet" }, this.#attack.summary);
    this.how.replaceChildren(this.summary, element("div", { class: "how-parts" }, network, attack), about, element("div", { class: "how-parts" }, ...settings));
  }

  #select(label, options, value, changed, name) {
    const list = element("select", { "data-test": name }, ...options.map((option) => element("option", { value: option.name, selected: option.name === value }, option.title)));
    list.onchange = () => changed(list.value);
    return element("label", { hidden: options.length < 2 }, element("span", { class: "asked" }, label), list);
  }

  async #show() {
    const { choice } = this;
    this.memory.set("choice", choice);
    const { settings } = this.#attack;
    const size = settings.some(({ name }) => name === "epsilon") ? choice.settings.epsilon : "";
    const steps = settings.some(({ name }) => name === "steps") ? say("{steps} steps", { steps: choice.settings.steps }) : "";
    write(this.network, this.#model.title);
    write(this.attack, [this.#attack.title, size, steps].filter(Boolean).join(" · "));
    write(this.aim, choice.targets[choice.model]?.name ?? say("anything else"));
    this.changed();
    if (!choice.image) return;
    const { model, image } = choice;
    mark(this.image, "data-stale", true);
    try {
      this.#seen(await this.#ask(model, image), model, image);
    } catch (error) {
      if (model === choice.model && image === choice.image) write(this.says, error.message);
    }
  }

  #seen({ label, probability, size, picture }, model, image) {
    if (model !== this.choice.model || image !== this.choice.image) return;
    if (this.image.src !== picture) this.image.src = picture;
    mark(this.image, "data-stale", null);
    mark(this.image, "data-pixelated", size < 96);
    this.says.replaceChildren(element("span", {}, say("The network says")), element("b", {}, label), element("span", { class: "quiet" }, percent(probability)));
  }
}
