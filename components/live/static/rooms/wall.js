import { speak } from "../words.js";

const facts = JSON.parse(document.getElementById("facts").textContent);
speak(facts.words, facts.language);
