import { element } from "./element.js";

/** A canvas that is as sharp as the screen and knows the colours of the page around it. */
export class Canvas {
  constructor(label, ratio) {
    this.canvas = element("canvas", { role: "img", "aria-label": label });
    this.canvas.style.cssText = `width: 100%; aspect-ratio: ${ratio}; display: block`;
    this.context = this.canvas.getContext("2d");
  }

  /** Clear; return the context in the page's own pixels, with width, height and colours. */
  begin() {
    const { canvas, context: c } = this;
    const scale = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
    if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
    c.setTransform(scale, 0, 0, scale, 0, 0);
    c.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    c.font = `${0.78 * parseFloat(style.fontSize)}px ${style.fontFamily}`;
    c.lineWidth = 1;
    return { c, width, height, ink: style.color, accent: style.getPropertyValue("--st-primary-color").trim() || "#b33c0b" };
  }
}

/** Colours of the two classes, told apart by everybody on light and dark. */
export const SIDES = ["#56b4e9", "#0072b2"];

/** A straight line in the current colours. */
export function line(c, x0, y0, x1, y1) {
  c.beginPath();
  c.moveTo(x0, y0);
  c.lineTo(x1, y1);
  c.stroke();
}

/** An arrow from one place to another. */
export function arrow(c, x0, y0, x1, y1) {
  const turn = Math.atan2(y1 - y0, x1 - x0);
  line(c, x0, y0, x1, y1);
  c.beginPath();
  c.moveTo(x1, y1);
  for (const side of [-1, 1]) c.lineTo(x1 - 9 * Math.cos(turn + side * 0.4), y1 - 9 * Math.sin(turn + side * 0.4));
  c.fill();
}

/** Paint levels of 28 x 28, made into red, green and blue by `colour`, without smoothing. */
export function paint(canvas, levels, colour) {
  canvas.width = canvas.height = 28;
  const c = canvas.getContext("2d");
  const picture = c.createImageData(28, 28);
  for (let i = 0; i < 784; i++) picture.data.set([...colour(levels[i]), 255], 4 * i);
  c.putImageData(picture, 0, 0);
}

/** Grey for a level from 0 to 255. */
export const grey = (level) => [level, level, level];

/** Blue, white, red for a weight from -127 to 127. */
export function signed(weight) {
  const t = Math.max(-1, Math.min(1, weight / 127));
  const away = t < 0 ? [5, 76, 138] : [150, 10, 30];
  return away.map((end) => 255 + (end - 255) * Math.abs(t));
}
