const known = (value) => value != null && Number.isFinite(value);

/** "97 %": whole percents, for a sentence read at a distance. */
export function percent(p) {
  if (!known(p)) return "–";
  if (p >= 0.995) return p >= 1 ? "100 %" : "> 99 %";
  if (p < 0.005) return "< 1 %";
  return `${Math.round(100 * p)} %`;
}

/** Two digits that mean something: "97 %", "3.2 %", "99.94 %". */
export function exactPercent(p) {
  if (!known(p)) return "–";
  const x = 100 * p;
  if (x >= 99.995) return "> 99.99 %";
  if (x >= 99) return `${x.toFixed(x >= 99.9 ? 2 : 1)} %`;
  if (x >= 9.95) return `${x.toFixed(0)} %`;
  if (x >= 0.995) return `${x.toFixed(1)} %`;
  if (x >= 0.01) return `${x.toFixed(2)} %`;
  return "< 0.01 %";
}

/** Two significant digits, no idle zero before the point: ".31", "4.2", "1.2e−5". */
export function two(value) {
  if (!known(value)) return "–";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  if (size === 0) return "0";
  if (size < 0.001) return sign + size.toExponential(1).replace("e-", "e−");
  if (size >= 99.5) return sign + size.toFixed(0);
  if (size >= 0.995) return sign + size.toFixed(1);
  return sign + size.toFixed(size < 0.00995 ? 4 : size < 0.0995 ? 3 : 2).replace(/^0/, "");
}

/** A change of a value in [0, 1] as grey levels out of 255: "1.4". */
export function levels(value) {
  if (!known(value)) return "–";
  const x = 255 * value;
  return x >= 9.95 || Math.abs(x - Math.round(x)) < 0.02 ? x.toFixed(0) : x.toFixed(1);
}
