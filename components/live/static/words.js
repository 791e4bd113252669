let table = {};
let language = "en";
const learnt = new Map();

/** From now on, say each English phrase as `words` has it; null is English itself. `to`: the reader's language. */
export function speak(words, to = "en") {
  table = words ?? {};
  language = to;
}

/** The address at which the server names classes in the reader's language. */
export function spoken(address) {
  return language === "en" ? address : `${address}${address.includes("?") ? "&" : "?"}lang=${language}`;
}

/** Fetch more phrases in the reader's language, once; a phrase of `speak` goes before. */
export async function learn(address) {
  if (language === "en") return;
  const url = spoken(address);
  if (!learnt.has(url)) learnt.set(url, { language, words: fetch(url).then((answer) => (answer.ok ? answer.json() : {})) });
  const more = learnt.get(url);
  try {
    more.words = await more.words;
  } catch {
    learnt.delete(url); // English for now; asked for again next time
  }
}

const translation = (phrase) => table[phrase] ?? [...learnt.values()].find((more) => more.language === language && more.words[phrase])?.words[phrase];

/** The phrase in the reader's language, each {name} in it replaced by that fact. An unknown phrase stays English. */
export function say(phrase, facts = {}) {
  return (translation(phrase) ?? phrase).replace(/{(\w+)}/g, (hole, name) => (name in facts ? String(facts[name]) : hole));
}
