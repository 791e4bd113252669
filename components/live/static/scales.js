const LN10 = Math.log(10);
const LOG_FLOOR = -6;
const LOGIT_SPAN = 5;

/** ln p -> log10(p / (1 - p)), also where p is so near 1 that 1 - p has no digits left. */
function logit(logP) {
  const rest = -Math.expm1(Math.min(logP, -1e-9));
  return (logP - Math.log(rest)) / LN10;
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** How a natural log-probability becomes a height in [0, 1], and which heights get a line. */
export const scales = {
  probability: {
    height: (logP) => Math.exp(logP),
    ticks: [0, 0.25, 0.5, 0.75, 1].map((p) => ({ at: p, text: `${100 * p} %` })),
  },
  log: {
    height: (logP) => clamp(1 - logP / LN10 / LOG_FLOOR, 0, 1),
    ticks: [0, -1, -2, -3, -4, -5, -6].map((e) => ({
      at: 1 - e / LOG_FLOOR,
      text: `${e > -3 ? 10 ** (2 + e) : (10 ** (2 + e)).toFixed(-2 - e)} %`,
      minor: e % 2 !== 0,
    })),
  },
  logit: {
    height: (logP) => clamp(0.5 + logit(logP) / (2 * LOGIT_SPAN), 0, 1),
    ticks: [
      [0.0001, "0.01 %"], [0.001, "0.1 %"], [0.01, "1 %"], [0.1, "10 %"], [0.5, "50 %"],
      [0.9, "90 %"], [0.99, "99 %"], [0.999, "99.9 %"], [0.9999, "99.99 %"],
    ].map(([p, text], i) => ({ at: 0.5 + logit(Math.log(p)) / (2 * LOGIT_SPAN), text, minor: i % 2 === 1 })),
  },
};

/** Round steps for a time axis of `total` steps, at most `room` of them. */
export function stepTicks(total, room) {
  const rough = Math.max(1, total / Math.max(1, room));
  const power = 10 ** Math.floor(Math.log10(rough));
  const stride = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const ticks = [];
  for (let step = 0; step <= total; step += stride) ticks.push(step);
  return ticks;
}
