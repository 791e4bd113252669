let table = {};

/** From now on, say each English phrase as `words` has it; null is English itself. */
export function speak(words) {
  table = words ?? {};
}

/** The phrase in the reader's language, each {name} in it replaced by that fact. An unknown phrase stays English. */
export function say(phrase, facts = {}) {
  return (table[phrase] ?? phrase).replace(/{(\w+)}/g, (hole, name) => (name in facts ? String(facts[name]) : hole));
}
