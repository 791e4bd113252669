const HELD = "o";
const OWN_ARROWS = "[role=slider],[role=combobox],[role=listbox],[role=option],[role=tab],[role=radio],[role=menuitem],[role=spinbutton]";
const OWN_KEYS = "input,textarea,select,[contenteditable]";
const PRESSED_BY_SPACE = "button,a,summary,[role=button],[role=link]";

let current = null;

/** Does the focused thing need this key for itself? */
function taken(event) {
  const target = event.composedPath()[0];
  if (!(target instanceof Element)) return false;
  if (target.matches(".scrub")) return false;
  if (target.closest(OWN_KEYS) || target.isContentEditable || target.closest(OWN_ARROWS)) return true;
  return event.key === " " && !event.shiftKey && target.closest(PRESSED_BY_SPACE) !== null;
}

/** Keys for the player last shown or touched: `act(name, amount)` for each. */
export class Keys {
  constructor(root, act) {
    this.act = act;
    this.take = () => (current = this);
    this.down = (event) => this.#down(event);
    this.up = (event) => event.key === HELD && current === this && this.act("hold", false);
    this.take();
    root.addEventListener("pointerdown", this.take);
    document.addEventListener("keydown", this.down);
    document.addEventListener("keyup", this.up);
  }

  destroy() {
    document.removeEventListener("keydown", this.down);
    document.removeEventListener("keyup", this.up);
    if (current === this) current = null;
  }

  #down(event) {
    if (current !== this || event.ctrlKey || event.metaKey || event.altKey || taken(event)) return;
    const far = event.shiftKey ? 10 : 1;
    const actions = {
      " ": () => this.act(event.shiftKey ? "start" : "play"),
      ArrowLeft: () => this.act("move", -far),
      ArrowRight: () => this.act("move", far),
      Home: () => this.act("move", -Infinity),
      End: () => this.act("move", Infinity),
      [HELD]: () => this.act("hold", true),
    };
    if (!(event.key in actions) || (event.repeat && event.key === " ")) return;
    event.preventDefault();
    actions[event.key]();
  }
}
