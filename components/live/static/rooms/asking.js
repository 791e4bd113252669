/** What a page of a room asks the server: JSON in, JSON out, and the server's own sentence where it refuses. */
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

export class Server {
  constructor({ base, language, code }) {
    Object.assign(this, { base, language, code, token: "" });
  }

  /** The address of something in this room, "" for the room itself. */
  at(path) {
    const room = `${this.base}/rooms/${this.code}${path ? `/${path}` : ""}`;
    return this.language === "en" ? room : `${room}${room.includes("?") ? "&" : "?"}lang=${this.language}`;
  }

  /** The picture of a sample, small. */
  sample(name) {
    return `${this.base}/samples/${name}.jpg`;
  }

  async get(path) {
    return this.#json(await this.#fetch(path, {}));
  }

  async post(path, message) {
    const body = message instanceof Blob ? message : JSON.stringify(message);
    return this.#json(await this.#fetch(path, { method: "POST", body }));
  }

  async bytes(path) {
    const answer = await this.#fetch(path, {});
    if (!answer.ok) await this.#json(answer);
    return answer.blob();
  }

  async #fetch(path, options) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    return fetch(this.at(path), { ...options, headers });
  }

  async #json(answer) {
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Refused(told.error ?? `The server answered ${answer.status}.`, answer.status);
    return told;
  }
}

const LONGEST_DELAY = 8000;
const AWAY = 15_000;

/** Hear what changes in a room: `heard(message)` gets every message, `link(state)` is told open or lost. */
export class RoomWire {
  constructor({ server, hello, heard, link }) {
    Object.assign(this, { server, hello, heard, link, failures: 0, over: false });
    this.woken = () => this.#wake();
    document.addEventListener("visibilitychange", this.woken);
    window.addEventListener("online", this.woken);
    this.#connect();
  }

  close() {
    this.over = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.woken);
    window.removeEventListener("online", this.woken);
    this.socket?.close();
  }

  #connect() {
    const url = new URL(this.server.at("live"), document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    socket.onopen = () => {
      socket.send(JSON.stringify(this.hello));
      this.link("open");
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.socket) return;
      this.failures = 0;
      const message = JSON.parse(data);
      if (message.type === "error") this.over = true;
      this.heard(message);
    };
    socket.onclose = () => {
      if (this.over || socket !== this.socket) return;
      this.failures += 1;
      this.link("lost");
      this.#again(Math.min(LONGEST_DELAY, 300 * 2 ** this.failures));
    };
    this.socket = socket;
  }

  // A phone that wakes up does not wait until the next try; a socket that slept looks open and is not.
  #wake() {
    if (document.visibilityState === "hidden") {
      this.slept = Date.now();
      return;
    }
    if (Date.now() - this.slept > AWAY) {
      const old = this.socket;
      this.socket = null;
      old?.close();
    }
    this.#again(0);
  }

  #again(delay) {
    if (this.over || this.socket?.readyState < WebSocket.CLOSING) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#connect(), delay);
  }
}
