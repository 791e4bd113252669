const HANDED = "#memory=";

/** What this browser remembers of a room; where it may not remember, only until the page closes. */
export class Memory {
  constructor(code) {
    this.place = `foolscope.room.${code}`;
    this.lasting = true;
    this.own = this.#handed() ?? this.#stored();
  }

  get(name) {
    return this.own[name];
  }

  set(name, value) {
    this.own[name] = value;
    try {
      localStorage.setItem(this.place, JSON.stringify(this.own));
    } catch {
      this.lasting = false;
    }
  }

  /** What is added to an address of this page where nothing lasts, so that a reload loses nothing either. */
  get fragment() {
    return this.lasting ? "" : HANDED + encodeURIComponent(JSON.stringify(this.own));
  }

  #stored() {
    try {
      return JSON.parse(localStorage.getItem(this.place)) ?? {};
    } catch {
      return {};
    }
  }

  #handed() {
    if (!location.hash.startsWith(HANDED)) return null;
    const text = decodeURIComponent(location.hash.slice(HANDED.length));
    history.replaceState(null, "", location.pathname + location.search);
    try {
      return JSON.parse(text);
    } catch {
      return null;
    }
  }
}
