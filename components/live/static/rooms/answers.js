import { element } from "../element.js";

/** A part of the wall: `root` to show, `update(message)` with every message of the wall. */
export function create({ server, facts }) {
  return { root: element("section"), update() {} };
}
