import { element } from "../element.js";

/** A part of a member's page: `root` to show, `update(room)` with every room message; `waiting`: it asks for something. */
export function create({ server, facts, member, follow }) {
  return { root: element("section"), waiting: false, update() {} };
}
