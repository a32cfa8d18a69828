// A button beside each text that is meant to be copied.
import { showToast } from "./forms.js";

export function enhanceCopies(root) {
  for (const text of root.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button quiet small";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${text.dataset.copy}`);
    button.addEventListener("click", () => copy(text));
    text.after(button);
  }
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    showToast("Copied.");
  } catch {
    getSelection().selectAllChildren(text);
    showToast("It is selected: copy it with the keyboard.");
  }
}
