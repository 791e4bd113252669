/**
 * What a run has said so far: one row per step, one column per scalar and per announced class.
 * `version` changes with everything that comes, `revision` with what changes steps that were there.
 */
export class Trajectory {
  constructor() {
    this.run = null;
    this.count = 0;
    this.classes = [];
    this.scalars = [];
    this.columns = new Map();
    this.capacity = 0;
    this.winners = [];
    this.revision = 0;
    this.version = 0;
  }

  /** The run's first message. Rows already here stay: after a reconnection it is said again. */
  begin(run) {
    this.run = run;
    this.scalars = run.scalars ?? [];
    this.version += 1;
  }

  /** Class number `position` of the rows from now on. */
  announce(message) {
    this.classes[message.position] = message;
    this.version += 1;
  }

  /** The log-probabilities of a class for the steps before it was announced. */
  backfill(position, values) {
    this.#reserve(values.length);
    this.#column(`class ${position}`).set(values);
    this.winners.length = 0;
    this.revision += 1;
    this.version += 1;
  }

  /** Take rows in. False when rows are missing before `start`. */
  append({ start, count, scalarCount, classCount, values }) {
    if (start > this.count) return false;
    this.#reserve(start + count);
    const width = scalarCount + classCount;
    for (let column = 0; column < width; column++) {
      const name = column < scalarCount ? this.scalars[column] : `class ${column - scalarCount}`;
      const target = this.#column(name);
      for (let row = 0; row < count; row++) target[start + row] = values[row * width + column];
    }
    this.winners.length = Math.min(this.winners.length, start);
    if (start < this.count) this.revision += 1;
    this.version += 1;
    this.count = Math.max(this.count, start + count);
    return true;
  }

  get last() {
    return this.count - 1;
  }

  scalar(name, step) {
    return this.columns.get(name)?.[step] ?? NaN;
  }

  /** Natural logarithms of a class's probability by step, NaN where it is not known; undefined for no class. */
  column(position) {
    return this.columns.get(`class ${position}`);
  }

  /** Natural logarithm of a class's probability at a step; NaN where it is not known. */
  logProbability(position, step) {
    return this.column(position)?.[step] ?? NaN;
  }

  probability(position, step) {
    return Math.exp(this.logProbability(position, step));
  }

  /** The largest probability a class has had. */
  peak(position) {
    const column = this.column(position);
    let peak = -Infinity;
    for (let step = 0; column && step < this.count; step++) if (column[step] > peak) peak = column[step];
    return Math.exp(peak);
  }

  /** Position of the class with the largest probability at a step. */
  winner(step) {
    for (let k = this.winners.length; k <= step && k < this.count; k++) this.winners.push(this.#leader(k));
    return this.winners[step] ?? 0;
  }

  /** The first step since which the answer has been the same as at `step`. */
  since(step) {
    const answer = this.winner(step);
    let k = step;
    while (k > 0 && this.winner(k - 1) === answer) k--;
    return k;
  }

  /** The most probable announced classes at a step, best first. */
  top(step, length = this.classes.length) {
    return this.classes
      .map(({ label, position, index }) => ({ label, position, index, probability: this.probability(position, step) }))
      .filter(({ probability }) => !Number.isNaN(probability))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, length);
  }

  #leader(step) {
    let best = 0;
    this.classes.forEach((_, position) => {
      if (this.logProbability(position, step) > this.logProbability(best, step)) best = position;
    });
    return best;
  }

  #column(name) {
    if (!this.columns.has(name)) this.columns.set(name, new Float32Array(this.capacity).fill(NaN));
    return this.columns.get(name);
  }

  #reserve(rows) {
    if (rows <= this.capacity) return;
    this.capacity = Math.max(256, 2 * this.capacity, rows);
    for (const [name, old] of this.columns) {
      const grown = new Float32Array(this.capacity).fill(NaN);
      grown.set(old);
      this.columns.set(name, grown);
    }
  }
}
