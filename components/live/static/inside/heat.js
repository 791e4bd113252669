import { element } from "../element.js";

const FOR = [213, 70, 0];
const AGAINST = [0, 114, 178];

/** A map over a grey picture: what is above 0 in one colour, what is below 0 in another, told apart by everybody. */
export class Heat {
  constructor() {
    this.image = element("img", { alt: "", draggable: "false" });
    this.canvas = element("canvas", { role: "img", hidden: true });
    this.root = element("div", { class: "heat" }, this.image, this.canvas);
  }

  picture(src) {
    if (this.image.getAttribute("src") !== src) this.image.src = src;
  }

  /** Draw `side` x `side` levels from -127 to 127, row by row; `label`: the map in words. */
  draw(levels, side, label) {
    const { canvas } = this;
    canvas.width = canvas.height = side;
    const c = canvas.getContext("2d");
    const pixels = c.createImageData(side, side);
    levels.forEach((level, i) => pixels.data.set([...(level > 0 ? FOR : AGAINST), 2 * Math.abs(level)], 4 * i));
    c.putImageData(pixels, 0, 0);
    canvas.setAttribute("aria-label", label);
    canvas.hidden = false;
  }

  clear() {
    this.canvas.hidden = true;
  }
}

/** Levels from the server's base64. */
export function unpack(text) {
  return new Int8Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}
