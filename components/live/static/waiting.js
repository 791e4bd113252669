import { say } from "./words.js";

const ordinals = new Intl.PluralRules("en", { type: "ordinal" });

/** Where a run waits, from a status message: "Waiting: 7th of 40, about 25 s". */
export function waiting({ place, of, wait }) {
  if (!place) return say("Waiting for its turn …");
  return say("Waiting: {nth} of {of}, about {time}", { nth: nth(place), of, time: time(wait) });
}

function nth(n) {
  const kind = ordinals.select(n);
  if (kind === "one") return say("{n}st", { n });
  if (kind === "two") return say("{n}nd", { n });
  return kind === "few" ? say("{n}rd", { n }) : say("{n}th", { n });
}

function time(seconds) {
  if (seconds < 120) return say("{seconds} s", { seconds });
  return say("{minutes} min", { minutes: Math.round(seconds / 30) / 2 });
}
