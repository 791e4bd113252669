const FARTHEST = 1.6;

/**
 * Give every label a height of its own: `labels` carry {y, weight, must}. The lighter ones go
 * until none stands too far from its line. Returns the rest with their `place`, top to bottom.
 */
export function spread(labels, gap, top, bottom) {
  const kept = [...labels].sort((a, b) => b.weight - a.weight);
  let placed = settle(kept, gap, top, bottom);
  while (kept.length > 1 && !kept.at(-1).must && placed.some(({ y, place }) => Math.abs(y - place) > FARTHEST * gap)) {
    kept.pop();
    placed = settle(kept, gap, top, bottom);
  }
  return placed;
}

function settle(labels, gap, top, bottom) {
  const kept = [...labels].sort((a, b) => a.y - b.y);
  let lowest = top;
  for (const label of kept) {
    label.place = Math.max(label.y, lowest);
    lowest = label.place + gap;
  }
  let highest = bottom;
  for (const label of kept.reverse()) {
    label.place = Math.min(label.place, highest);
    highest = label.place - gap;
  }
  return kept.reverse();
}

/** The longest beginning of `text` that fits `width`, with an ellipsis where it is cut. */
export function fit(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let length = text.length;
  while (length > 1 && context.measureText(`${text.slice(0, length).trimEnd()}…`).width > width) length--;
  return `${text.slice(0, length).trimEnd()}…`;
}
