// Keys for the newsroom: n, /, ?, g d. None of them works while somebody types, and ? lists them.
const GO_MS = 1200;
const KEYS = [
  ["n", "Write a story", () => go("/desk/stories/new")],
  ["/", "Search", focusSearch],
  ["g d", "Go to the desk", () => go("/desk")],
  ["g a", "Go to the alerts", () => go("/desk/alerts")],
  ["g c", "Go to Control", () => document.querySelector('.staffbar a[href="/control"]')?.click()],
  ["?", "Show this list", showKeys],
];
let prefix = "";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, dialog, [contenteditable]")) return;
  const keys = prefix ? `${prefix} ${event.key}` : event.key;
  prefix = "";
  const [, , act] = KEYS.find(([name]) => name === keys) ?? [];
  if (act) {
    event.preventDefault();
    act();
  } else if (event.key === "g") {
    prefix = "g";
    setTimeout(() => { prefix = ""; }, GO_MS);
  }
});

function go(path) {
  window.location.assign(path);
}

function focusSearch() {
  const field = document.querySelector('input[type="search"]');
  if (field) field.focus();
  else go("/desk#q");
}

if (window.location.hash === "#q") focusSearch();

function showKeys() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "keys-title");
  const rows = KEYS.map(([name, meaning]) => `<dt>${name.split(" ").map((key) => `<kbd>${key}</kbd>`).join(" ")}</dt><dd>${meaning}</dd>`);
  dialog.innerHTML = `<form class="dialog-inner" method="dialog"><h2 id="keys-title">Keys</h2><dl class="facts">${rows.join("")}</dl><div class="dialog-foot"><button class="button">Close</button></div></form>`;
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
