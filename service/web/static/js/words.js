// What scripts say, in the page's language: the page brings the sentences that are not English.
const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}");

// Return the sentence in the page's language, its {names} replaced by values.
export const say = (sentence, values = {}) =>
  (words[sentence] ?? sentence).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
