let table = {};
let language = "en";

/** From now on, say each English phrase as `words` has it; null is English itself. `to`: the reader's language. */
export function speak(words, to = "en") {
  table = words ?? {};
  language = to;
}

/** The address at which the server names classes in the reader's language. */
export function spoken(address) {
  return language === "en" ? address : `${address}${address.includes("?") ? "&" : "?"}lang=${language}`;
}

/** The phrase in the reader's language, each {name} in it replaced by that fact. An unknown phrase stays English. */
export function say(phrase, facts = {}) {
  return (table[phrase] ?? phrase).replace(/{(\w+)}/g, (hole, name) => (name in facts ? String(facts[name]) : hole));
}
