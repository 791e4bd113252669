import { element, mark, write } from "./element.js";
import { Segmented } from "./segmented.js";
import { say } from "./words.js";

const GAINS = [1, 2, 5, 10, 20, 40, 50, 100, 200];
const USUAL_GAIN = 40;
const SMALL = 96;

/** One square picture. While one is on its way only the newest request is remembered. */
class Panel {
  constructor(which, title) {
    this.image = element("img", { alt: "", draggable: "false", decoding: "async" });
    this.moving = element("canvas", { class: "moving", "aria-hidden": "true", hidden: true });
    this.moving.width = this.moving.height = 0;
    this.frame = element("div", { class: "frame" }, this.image, this.moving);
    this.title = element("span", { class: "title" }, title);
    this.kind = element("span", { class: "kind" });
    const caption = element("figcaption", {}, this.title, this.kind);
    this.root = element("figure", { class: `panel ${which}`, "data-test": `picture-${which}`, "data-empty": true }, caption, this.frame);
    this.wanted = null;
    this.ready = null;
    this.busy = false;
    this.shown = null;
    this.era = 0;
    this.turn = 0;
    this.latest = 0;
  }

  /** Show what is at `url`; `kind` says what it is (lossless, live preview). */
  async request(url, kind, step) {
    if (this.wanted?.url === url) return;
    this.wanted = { url, kind, step };
    if (this.busy) return;
    this.busy = true;
    while (this.wanted && this.wanted.url !== this.shown) await this.#load(this.wanted);
    this.busy = false;
  }

  /** Decode the bytes of a JPEG; `flush` shows it. It needs no address, so the page loads and lays out nothing. */
  async take(jpeg, kind, step) {
    this.wanted = null;
    const turn = ++this.turn;
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null);
    if (!bitmap || turn < this.latest) return bitmap?.close();
    this.latest = turn;
    this.ready?.bitmap.close();
    this.ready = { bitmap, kind, step };
  }

  /** Show what was taken last, if it has not been shown. */
  flush() {
    if (!this.ready) return;
    const { bitmap, kind, step } = this.ready;
    this.ready = null;
    if (this.moving.width !== bitmap.width) this.moving.width = bitmap.width;
    if (this.moving.height !== bitmap.height) this.moving.height = bitmap.height;
    this.context ??= this.moving.getContext("bitmaprenderer");
    this.context.transferFromImageBitmap(bitmap);
    mark(this.moving, "hidden", null);
    this.shown = null;
    this.#shows(kind, step);
  }

  /** Keep what is seen but grey it out until the next picture is there. */
  forget() {
    this.era += 1;
    this.wanted = null;
    this.shown = null;
    this.ready?.bitmap.close();
    this.ready = null;
    mark(this.root, "data-stale", true);
    write(this.kind, "");
  }

  describe(text) {
    if (this.image.alt !== text) this.image.alt = text;
  }

  async #load(request) {
    const { era } = this;
    try {
      const answer = await fetch(request.url);
      if (!answer.ok) throw new Error(String(answer.status));
      const blob = await answer.blob();
      if (this.wanted !== null && this.era === era) await this.#put(blob, request);
    } catch {
      if (this.wanted === request) write(this.kind, say("could not be loaded"));
    }
    if (this.wanted === request) this.shown = request.url;
  }

  /** Show a picture once it is decoded, unless one that came later was quicker. */
  async #put(blob, { url, kind, step }) {
    const turn = ++this.turn;
    const address = URL.createObjectURL(blob);
    const next = new Image();
    next.src = address;
    const decoded = await next.decode().then(() => true, () => false);
    if (!decoded || turn < this.latest) {
      URL.revokeObjectURL(address);
      return;
    }
    this.latest = turn;
    this.ready?.bitmap.close();
    this.ready = null;
    const old = this.address;
    this.address = address;
    this.image.onload = () => turn === this.latest && mark(this.moving, "hidden", true);
    this.image.src = address;
    this.shown = url;
    if (old) URL.revokeObjectURL(old);
    this.#shows(kind, step);
  }

  #shows(kind, step) {
    mark(this.root, "data-empty", null);
    mark(this.root, "data-stale", null);
    mark(this.root, "data-step", step);
    write(this.kind, kind);
  }
}

/** Original + perturbation = what the network sees. `changed()` when the gain or the view does. */
export class Pictures {
  constructor({ changed }) {
    this.changed = changed;
    this.original = new Panel("original", say("original"));
    this.perturbation = new Panel("perturbation", say("perturbation"));
    mark(this.perturbation.frame, "data-nothing", say("nothing added yet"));
    this.adversarial = new Panel("adversarial", say("what the network sees"));
    this.gainSet = false;
    this.#amplifier();
    this.#comparison();
    const sign = (text) => element("span", { class: "sign", "aria-hidden": "true" }, text);
    this.size = element("p", { class: "under size" });
    this.original.root.append(this.size);
    this.root = element("section", { class: "pictures", "aria-label": say("Pictures") },
      this.original.root, sign("+"), this.perturbation.root, sign("="), this.adversarial.root);
  }

  get gain() {
    return GAINS[Number(this.slider.value)];
  }

  get view() {
    return this.views.value;
  }

  get query() {
    return `?gain=${this.gain}&view=${this.view}`;
  }

  /** The network's input: its side in pixels decides how a picture is enlarged. */
  fitTo(model, epsilon) {
    mark(this.root, "data-pixelated", Boolean(model?.size && model.size < SMALL));
    write(this.size, model?.size ? say("{size} × {size} pixels", { size: model.size }) : "");
    if (this.gainSet) return;
    const fits = epsilon ? GAINS.findLastIndex((gain) => gain * epsilon <= 0.6) : GAINS.indexOf(USUAL_GAIN);
    this.slider.value = Math.max(0, fits);
    this.#label();
  }

  /** A new run: what is seen no longer belongs to it. */
  forget() {
    for (const panel of [this.original, this.perturbation, this.adversarial]) panel.forget();
  }

  /** Show the moving pictures that have come since the last time, both at once. True when there were any. */
  flush() {
    if (!this.adversarial.ready) return false;
    this.perturbation.flush();
    this.adversarial.flush();
    return true;
  }

  /** Before a run: the picture itself, and nothing added to it. */
  showIdle(url, model, sentence) {
    this.fitTo(model);
    this.perturbation.forget();
    mark(this.perturbation.root, "data-empty", true);
    mark(this.perturbation.root, "data-stale", null);
    mark(this.perturbation.root, "data-step", null);
    this.perturbation.describe(say("no perturbation yet"));
    if (!url) return;
    this.original.request(url, "", null);
    this.adversarial.request(url, "", null);
    this.original.describe(say("the original picture"));
    this.adversarial.describe(sentence);
  }

  /** Hold the original over what the network sees, or let it go. */
  hold(held) {
    mark(this.root, "data-held", held && !this.comparing);
    write(this.adversarial.title, held && !this.comparing ? say("original") : say("what the network sees"));
  }

  get comparing() {
    return this.compare.getAttribute("aria-pressed") === "true";
  }

  #amplifier() {
    this.slider = element("input", { type: "range", min: 0, max: GAINS.length - 1, step: 1, "aria-label": say("Amplify the perturbation"), "data-test": "gain" });
    this.slider.value = GAINS.indexOf(USUAL_GAIN);
    this.slider.oninput = () => {
      this.gainSet = true;
      this.#label();
      this.changed();
    };
    this.views = new Segmented(say("What the perturbation shows"), [
      { value: "signed", text: say("signed"), title: say("Mid-grey is no change, lighter is more, darker is less") },
      { value: "size", text: say("size"), title: say("Blue where the picture got darker, red where it got lighter") },
    ], () => this.changed());
    const label = element("label", { class: "amplify" }, element("span", {}, say("amplify")), this.slider);
    this.perturbation.root.append(element("div", { class: "under" }, label, this.views.root));
    this.#label();
  }

  #label() {
    write(this.perturbation.title, say("perturbation × {gain}", { gain: this.gain }));
    mark(this.slider, "aria-valuetext", say("times {gain}", { gain: this.gain }));
  }

  #comparison() {
    const { frame, root, image } = this.adversarial;
    this.before = element("img", { class: "before", alt: "", draggable: "false" });
    this.divider = element("input", { class: "divider", type: "range", min: 0, max: 100, value: 50, step: 1, "aria-label": say("Between the original (left) and what the network sees (right)"), "data-test": "divider" });
    const tags = element("div", { class: "tags", "aria-hidden": "true" }, element("span", {}, say("original")), element("span", {}, say("now")));
    frame.append(this.before, element("div", { class: "edge" }), tags, this.divider);
    this.divider.oninput = () => frame.style.setProperty("--edge", `${this.divider.value}%`);
    this.compare = element("button", { type: "button", class: "toggle", "aria-pressed": "false", "data-test": "compare", title: say("Drag between the original and what the network sees") }, say("compare"));
    this.compare.onclick = () => {
      mark(this.compare, "aria-pressed", String(!this.comparing));
      mark(this.root, "data-compare", this.comparing);
      write(this.hint, this.comparing ? say("drag across the picture") : say("hold it to see the original"));
    };
    this.hint = element("span", { class: "hint" }, say("hold it to see the original"));
    root.append(element("div", { class: "under" }, this.hint, this.compare));
    new MutationObserver(() => (this.before.src = this.original.image.src))
      .observe(this.original.image, { attributeFilter: ["src"] });
    image.onpointerdown = this.before.onpointerdown = (event) => event.button || this.hold(true);
    frame.onpointerup = frame.onpointercancel = frame.onpointerleave = () => this.hold(false);
    frame.oncontextmenu = (event) => event.pointerType !== "mouse" && event.preventDefault();
  }
}
