import { element } from "./element.js";

/** The lines of a chart on a canvas that is not shown: what is on it stays, only new steps are added. */
export class Curves {
  constructor() {
    this.canvas = element("canvas");
    this.context = this.canvas.getContext("2d");
    this.key = null;
    this.trajectory = null;
    this.drawn = 0;
  }

  /**
   * Draw the steps that are not there yet, all of them if `key`, the lines' looks or the trajectory's past
   * changed. `size`: {width, height, ratio}; `lines`: {position, color, width, alpha}; `place(logP, step)`: [x, y].
   */
  update(trajectory, lines, { width, height, ratio }, place, key) {
    const looks = lines.map(({ position, color, width, alpha }) => [position, color, width, alpha]);
    const now = JSON.stringify([width, height, ratio, trajectory.revision, key, looks]);
    if (now !== this.key || trajectory !== this.trajectory) this.#clear(width, height, ratio);
    Object.assign(this, { key: now, trajectory });
    if (this.drawn === trajectory.count) return;
    for (const line of lines) this.#add(line, place);
    this.drawn = trajectory.count;
  }

  #clear(width, height, ratio) {
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.lineJoin = this.context.lineCap = "round"; // a line that goes on has no notch
    this.drawn = 0;
  }

  #add({ position, color, width, alpha }, place) {
    const { context: c, trajectory } = this;
    const values = trajectory.column(position);
    c.strokeStyle = color;
    c.lineWidth = width;
    c.globalAlpha = alpha;
    c.beginPath();
    let drawing = false;
    for (let step = Math.max(0, this.drawn - 1); values && step < trajectory.count; step++) {
      if (Number.isNaN(values[step])) drawing = false;
      else if (drawing) c.lineTo(...place(values[step], step));
      else c.moveTo(...place(values[step], step)), (drawing = true);
    }
    c.stroke();
  }
}
