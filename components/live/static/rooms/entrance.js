import { element, mark, write } from "../element.js";
import { say } from "../words.js";
import { Refused } from "./asking.js";

/** The code of a room is typed: `entered(code)`. */
export function askCode({ typed, sentence, entered }) {
  const input = element("input", { class: "code", name: "code", maxlength: 12, required: true, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", enterkeyhint: "go", value: typed ?? "", "data-test": "code" });
  const form = new Form({ test: "code-form", title: say("Join a room"), label: say("Code of the room"), hint: say("Your teacher has it; it is on the wall."), input, button: say("Go on"), sentence });
  form.send = () => entered(input.value.toUpperCase().replace(/[^A-Z0-9]/g, "") || "-");
  return form.root;
}

/** Somebody's name is typed: `entered({token, member})` once the room has let them in. */
export function askName({ server, memory, title, sentence, entered }) {
  const input = element("input", { name: "name", maxlength: 35, required: true, autocomplete: "nickname", enterkeyhint: "go", value: memory.get("typed") ?? "", "data-test": "name" });
  input.oninput = () => memory.set("typed", input.value);
  const form = new Form({ test: "join", title, label: say("Your name"), hint: say("The others see it. No account is needed."), input, button: say("Join"), sentence });
  form.send = async () => entered(await server.post("join", { name: input.value }));
  return form.root;
}

class Form {
  constructor({ test, title, label, hint, input, button, sentence }) {
    this.refusal = element("p", { class: "refusal", role: "alert", id: "refusal" }, sentence ?? "");
    this.button = element("button", { class: "primary" }, button);
    mark(input, "aria-describedby", "refusal");
    const asked = element("label", {}, element("span", { class: "asked" }, label), input);
    this.root = element("form", { class: "entrance", "data-test": test }, element("h1", {}, title), asked, element("p", { class: "quiet" }, hint), this.refusal, this.button);
    this.root.onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    requestAnimationFrame(() => input.focus());
  }

  async #submit() {
    this.button.disabled = true;
    write(this.refusal, "");
    try {
      await this.send();
    } catch (error) {
      write(this.refusal, spokenError(error));
    }
    this.button.disabled = false;
  }
}

/** Why something failed, in a sentence: the server's own where it refused. */
export function spokenError(error) {
  if (error instanceof Refused) return error.message;
  if (error instanceof TypeError) return say("The server does not answer. Try again.");
  throw error;
}
