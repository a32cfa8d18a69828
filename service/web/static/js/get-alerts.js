// Get alerts: explain first, ask the browser second, register device and topics in one go.
import { Refused, getAlerts, obstacle, subscribed } from "./browser.js";
import { showFollows } from "./follow.js";
import { say } from "./forms.js";

const URGENCIES = [["quiet", "Everything"], ["normal", "Normal and breaking"], ["breaking", "Breaking only"]];

export function enhanceGetAlerts(root) {
  for (const form of root.querySelectorAll("form[data-get-alerts]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      explain(form);
    });
  }
  if (root.querySelector("form[data-get-alerts]")) markIfOn();
}

async function markIfOn() {
  if (await subscribed().catch(() => false)) for (const form of document.querySelectorAll("form[data-get-alerts]")) on(form);
}

function on(form) {
  form.querySelector("button").lastChild.textContent = " Alerts are on";
}

function explain(form) {
  const dialog = build(form);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

function build(form) {
  const dialog = element("dialog", { "aria-labelledby": "get-alerts-title" });
  const inner = element("form", { class: "dialog-inner stack", method: "dialog" });
  inner.append(element("h2", { id: "get-alerts-title" }, "Get alerts"));
  const hindrance = form.dataset.key ? obstacle() : "Alerts to browsers are not set up on this site.";
  const topics = choices(form);
  if (hindrance) {
    inner.append(element("p", {}, hindrance), foot(element("button", { class: "button" }, "Close")));
  } else {
    inner.append(element("p", {}, "When something happens, a short message appears on this device, also while the page is closed. Your browser asks you next; you can stop at any time under My alerts."));
    if (topics) inner.append(topics);
    inner.append(urgency());
    const go = element("button", { class: "button strong", value: "go" }, "Allow alerts");
    inner.append(foot(element("button", { class: "button quiet", value: "no", formnovalidate: "" }, "Not now"), go));
    inner.addEventListener("submit", (event) => {
      if (event.submitter !== go) return;
      event.preventDefault();
      register(form, inner, dialog, go);
    });
  }
  dialog.append(inner);
  return dialog;
}

function choices(form) {
  const offered = [...form.querySelectorAll("input[name=topic]")];
  if (!offered.length) return null;
  const set = element("fieldset", {});
  set.append(element("legend", {}, "About"));
  for (const topic of offered) {
    const label = element("label", { class: "choice" });
    const box = element("input", { type: "checkbox", name: "topic", value: topic.value });
    box.checked = true;
    label.append(box, topic.dataset.label);
    set.append(label);
  }
  return set;
}

function urgency() {
  const label = element("label", { class: "field" }, "Alert me on ");
  const select = element("select", { name: "least_urgency" });
  for (const [value, words] of URGENCIES) select.append(element("option", { value }, words));
  label.append(select);
  return label;
}

async function register(form, inner, dialog, button) {
  button.disabled = true;
  const fields = new FormData(inner);
  try {
    const { follows } = await getAlerts(form.dataset.key, fields.getAll("topic"), fields.get("least_urgency"));
    showFollows(follows);
    for (const other of document.querySelectorAll("form[data-get-alerts]")) on(other);
    dialog.close();
    say("Alerts are on. The next one finds you here.");
  } catch (error) {
    const words = error instanceof Refused ? error.message : "The browser could not subscribe. Check the connection and try again.";
    inner.replaceChildren(element("h2", { id: "get-alerts-title" }, "No alerts yet"), element("p", { role: "alert" }, words), foot(element("button", { class: "button" }, "Close")));
  }
}

function foot(...buttons) {
  const row = element("div", { class: "dialog-foot" });
  row.append(...buttons);
  return row;
}

function element(name, attributes, words) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (words) made.textContent = words;
  return made;
}
