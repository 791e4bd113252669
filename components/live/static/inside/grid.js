/** Up to so many cells in a row, the middles of squares are always asked about; as on the server. */
const SEARCHED = 8;

const empty = (cells) => {
  const count = (cells + 1) ** 2;
  return { cells, labels: new Int32Array(count).fill(-1), p: new Float32Array(count), clipped: new Float32Array(count), asked: new Uint8Array(count) };
};

/** What is known of a plane, level by level; the rules are those of engine/inside/plane.py. */
export class Grid {
  constructor() {
    this.done = null;
    this.next = null;
  }

  /** The finest level of which anything is known. */
  get shown() {
    return this.next ?? this.done;
  }

  take({ cells, at, labels, probabilities, clipped }) {
    if (this.next?.cells !== cells) this.next = this.done ? finer(this.done) : empty(cells);
    at.forEach((place, i) => {
      this.next.labels[place] = labels[i];
      this.next.p[place] = probabilities[i];
      this.next.clipped[place] = clipped[i];
      this.next.asked[place] = 1;
    });
  }

  /** All corners of a level are known; those that nobody was asked about are filled in. */
  finish(cells) {
    if (this.next?.cells !== cells) this.next = finer(this.done); // nothing had to be asked
    this.done = this.next;
    this.next = null;
  }

  /** The corner that stands for row and column of the level shown: itself, or the nearest coarser one. */
  corner(row, column) {
    const { cells, labels } = this.shown;
    const at = row * (cells + 1) + column;
    return labels[at] >= 0 || !this.done ? at : (row & ~1) * (cells + 1) + (column & ~1);
  }

  /** For each class, the corner deepest inside it: {label, row, column, depth}, in corners to the nearest other class. */
  middles() {
    const { cells, labels } = this.done;
    const n = cells + 1;
    const depth = new Int32Array(n * n).fill(-1);
    let edge = [];
    for (let at = 0; at < n * n; at++) {
      if (around(at, n).some((next) => labels[next] !== labels[at])) (depth[at] = 0), edge.push(at);
    }
    const best = new Map([...new Set(labels)].map((label) => [label, { label, row: cells / 4, column: cells / 2, depth: edge.length ? -1 : cells / 4 }]));
    while (edge.length) {
      const inner = [];
      for (const at of edge) {
        const place = best.get(labels[at]);
        const border = Math.min(at % n, cells - (at % n), Math.floor(at / n), cells - Math.floor(at / n));
        const room = Math.min(depth[at], border);
        if (room > place.depth) Object.assign(place, { row: Math.floor(at / n), column: at % n, depth: room });
        for (const next of around(at, n)) if (depth[next] < 0) (depth[next] = depth[at] + 1), inner.push(next);
      }
      edge = inner;
    }
    return [...best.values()];
  }

  /** The share of the corners that each class has, by class. */
  shares() {
    const counts = new Map();
    if (!this.done) return counts;
    for (const label of this.done.labels) counts.set(label, (counts.get(label) ?? 0) + 1 / this.done.labels.length);
    return counts;
  }
}

function around(at, n) {
  const [row, column] = [Math.floor(at / n), at % n];
  const next = [];
  if (row > 0) next.push(at - n);
  if (row < n - 1) next.push(at + n);
  if (column > 0) next.push(at - 1);
  if (column < n - 1) next.push(at + 1);
  return next;
}

function finer(coarse) {
  const fine = empty(2 * coarse.cells);
  const side = fine.cells + 1;
  const copy = (row, column, corners) => {
    const [label] = corners.map(([r, c]) => coarse.labels[r * (coarse.cells + 1) + c]);
    if (!corners.every(([r, c]) => coarse.labels[r * (coarse.cells + 1) + c] === label)) return;
    const at = row * side + column;
    const mean = (of) => corners.reduce((sum, [r, c]) => sum + of[r * (coarse.cells + 1) + c], 0) / corners.length;
    Object.assign(fine.labels, { [at]: label });
    fine.p[at] = mean(coarse.p);
    fine.clipped[at] = mean(coarse.clipped);
  };
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const [r, c] = [row >> 1, column >> 1];
      const [oddRow, oddColumn] = [row & 1, column & 1];
      if (!oddRow && !oddColumn) {
        copy(row, column, [[r, c]]);
        fine.asked[row * side + column] = coarse.asked[r * (coarse.cells + 1) + c];
      } else if (fine.cells > SEARCHED || !(oddRow && oddColumn)) {
        const corners = [];
        for (let i = 0; i <= oddRow; i++) for (let j = 0; j <= oddColumn; j++) corners.push([r + i, c + j]);
        copy(row, column, corners);
      }
    }
  }
  return fine;
}
