import { element, mark } from "./element.js";

/** A row of choices of which one is pressed. */
export class Segmented {
  constructor(label, choices, chosen) {
    this.buttons = choices.map(({ value, text, title }) => {
      const button = element("button", { type: "button", value, title }, text);
      button.onclick = () => {
        this.value = value;
        chosen(value);
      };
      return button;
    });
    this.root = element("div", { class: "segmented", role: "group", "aria-label": label }, ...this.buttons);
    this.value = choices[0].value;
  }

  get value() {
    return this.chosen;
  }

  set value(value) {
    this.chosen = value;
    for (const button of this.buttons) mark(button, "aria-pressed", String(button.value === value));
  }
}
