import { spoken } from "./words.js";

/** What the server knows of single steps beyond the curve: asked for one at a time, the newest wins. */
export class Details {
  constructor({ arrived }) {
    this.arrived = arrived;
    this.reset(null);
  }

  reset(address) {
    this.address = address;
    this.known = new Map();
    this.wanted = null;
    this.busy = false;
  }

  /** The step's {index, top, figures, picture}, or undefined while it is on its way. */
  of(step) {
    const known = this.known.get(step);
    if (known === undefined && this.wanted !== step) this.#ask(step);
    return known ?? undefined;
  }

  async #ask(step) {
    this.wanted = step;
    if (this.busy) return;
    this.busy = true;
    const { address } = this;
    while (this.wanted != null && !this.known.has(this.wanted)) {
      const asked = this.wanted;
      const answer = await this.#fetch(spoken(`${address}/steps/${asked}`));
      if (address !== this.address) return;
      this.known.set(asked, answer);
      this.arrived();
    }
    this.busy = false;
  }

  // A step without details is still shown from the curve's own columns.
  async #fetch(url) {
    try {
      const answer = await fetch(url);
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  }
}
