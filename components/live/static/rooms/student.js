import { element } from "../element.js";
import { show } from "../player.js";
import { say, speak } from "../words.js";
import { RoomWire, Server } from "./asking.js";

const facts = JSON.parse(document.getElementById("facts").textContent);
speak(facts.words, facts.language);
const main = document.getElementById("room");
const server = new Server(facts);
const place = `foolscope.room.${facts.code}`;

function join() {
  const name = element("input", { name: "name", maxlength: 35, autocomplete: "nickname", "data-test": "name" });
  const form = element("form", { "data-test": "join" }, element("h1", {}, facts.code), element("label", {}, say("Your name"), name),
    element("button", {}, say("Join")));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const { token } = await server.post("join", { name: name.value });
    localStorage.setItem(place, token);
    enter(token);
  };
  main.replaceChildren(form);
}

async function enter(token) {
  server.token = token;
  const state = await server.get("me");
  const view = element("div", { class: "view" });
  const run = element("button", { "data-test": "run" }, say("Run"));
  const follow = (id) => show({ parentElement: view, data: { base: facts.base, v: facts.v, language: facts.language, words: facts.words, run: id, compact: false }, setTriggerValue() {} });
  run.onclick = async () => follow((await server.post("runs", { query: { model: "photos", image: "cat", attack: "bim" } })).run);
  main.replaceChildren(element("h1", {}, state.member.name), run, view);
  if (state.runs.length) follow(state.runs[0].run);
  new RoomWire({ server, hello: { token }, heard: (m) => console.log(m), link: () => {} });
}

const token = localStorage.getItem(place);
if (token) enter(token);
else join();
