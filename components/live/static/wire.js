import { say, spoken } from "./words.js";

const ROWS = 1;
const BACKFILL = 2;
const PICTURE = 3;
const FIRST_DELAY = 250;
const LONGEST_DELAY = 4000;
const ATTEMPTS = 3;
const POLL_INTERVAL = 500;
const LOOK_INTERVAL = 10_000;

/** A binary frame as {type, ...}; floats are little endian, as every browser's are. */
export function decode(buffer) {
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  if (kind === ROWS) {
    const scalarCount = view.getUint8(1);
    const classCount = view.getUint16(2, true);
    const count = view.getUint32(8, true);
    const values = new Float32Array(buffer, 12, count * (scalarCount + classCount));
    return { type: "rows", start: view.getUint32(4, true), count, scalarCount, classCount, values };
  }
  if (kind === BACKFILL) {
    const values = new Float32Array(buffer, 8, view.getUint32(4, true));
    return { type: "backfill", position: view.getUint16(2, true), values };
  }
  if (kind === PICTURE) {
    const which = ["original", "perturbation", "adversarial"][view.getUint8(1)];
    return { type: "picture", which, step: view.getUint32(4, true), jpeg: buffer.slice(8) };
  }
  return { type: "unknown" };
}

/**
 * The connection to one run: a WebSocket that comes back by itself and goes on where it was,
 * or polling where WebSockets do not get through. `heard(message)` gets every message in order;
 * `cursor()` is the number of rows the listener has; `link(state)` is told open, lost or polling.
 * A run that is over is asked about now and then, so that the server keeps all of its pictures at hand,
 * unless the listener is `thrifty`.
 */
export class Wire {
  constructor({ address, cursor, heard, link, thrifty = false }) {
    Object.assign(this, { address, cursor, heard, link, thrifty });
    this.failures = 0;
    this.over = false;
    this.timer = 0;
    this.classesPolled = 0;
    this.#connect();
  }

  /** Pause, resume, step or cancel. */
  async command(name) {
    if (this.send({ do: name })) return;
    try {
      const answer = await fetch(spoken(`${this.address}/${name}`), { method: "POST" });
      if (answer.ok) this.#take({ type: "status", ...(await answer.json()) });
    } catch {
      this.link("lost");
    }
  }

  /** True when the message went into an open socket. */
  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Drop the socket; the next one starts at the listener's cursor. */
  reconnect() {
    this.socket?.close();
  }

  close() {
    this.over = true;
    clearTimeout(this.timer);
    clearInterval(this.looks);
    this.socket?.close();
  }

  #connect() {
    const url = new URL(spoken(`${this.address}/live?start=${this.cursor()}`), document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      this.failures = 0;
      this.#take(typeof data === "string" ? JSON.parse(data) : decode(data));
    };
    socket.onopen = () => this.link("open");
    socket.onclose = () => this.#lost(socket);
    this.socket = socket;
  }

  #lost(socket) {
    if (this.over || socket !== this.socket) return;
    this.failures += 1;
    if (this.failures >= ATTEMPTS) {
      this.link("polling");
      this.#poll();
      return;
    }
    this.link("lost");
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.failures - 1));
    this.timer = setTimeout(() => this.#connect(), delay);
  }

  #take(message) {
    if (message.type === "error" || message.end) this.over = true;
    if (message.end && !this.thrifty) this.looks ??= setInterval(() => fetch(this.address).catch(() => {}), LOOK_INTERVAL);
    this.heard(message);
  }

  async #poll() {
    let failed = null;
    try {
      await this.#fetchRows();
    } catch (error) {
      failed = error;
    }
    this.link(failed ? "lost" : "polling");
    if (!this.over) this.timer = setTimeout(() => this.#poll(), failed ? LONGEST_DELAY : POLL_INTERVAL);
  }

  async #fetchRows() {
    if (!this.classesPolled) {
      const run = await this.#json("");
      if (!run) return;
      this.#take({ ...run, type: "run", status: undefined, end: false });
    }
    let answer = await this.#json(`/rows?start=${this.classesPolled ? this.cursor() : 0}`);
    // A class that appeared since has a past we do not know: ask for everything once more.
    if (answer && this.classesPolled && answer.classes.length !== this.classesPolled) {
      answer = await this.#json("/rows?start=0");
    }
    if (!answer || this.over) return;
    this.classesPolled = answer.classes.length;
    answer.classes.forEach((message, position) => this.#take({ position, ...message, type: "class" }));
    if (answer.rows.length) this.#take(rowsFrom(answer));
    if (answer.status) this.#take({ ...answer.status, type: "status" });
  }

  async #json(path) {
    const answer = await fetch(spoken(this.address + path));
    if (answer.ok) return answer.json();
    if (answer.status !== 404) throw new Error(`the server answered ${answer.status}`);
    this.#take({ type: "error", sentence: say("This run is no longer on the server. Start a new one.") });
    return null;
  }
}

function rowsFrom({ start, rows, classes }) {
  const width = rows[0].length;
  const values = Float32Array.from(rows.flat(), (value) => value ?? NaN);
  return { type: "rows", start, count: rows.length, scalarCount: width - classes.length, classCount: classes.length, values };
}
