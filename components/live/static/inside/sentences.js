/** Sentences one after the other: with a space between them, except after a Chinese full stop. */
export const joined = (sentences) => sentences.filter(Boolean).reduce((text, next) => text + (!text || text.endsWith("。") ? "" : " ") + next, "");
