// Get alerts: explains, asks the browser for permission, and registers device and topics in one request.
import { findObstacle } from "../kit/subscription.js";
import { Refused, areAlertsOn, getAlerts, isThisBrowser, knownLanguages, turnAlertsOff } from "./browser.js";
import { showFollows } from "./follow.js";
import { showToast } from "./forms.js";

const URGENCIES = [["quiet", "Everything"], ["normal", "Normal and breaking"], ["breaking", "Breaking only"]];

export function enhanceGetAlerts(root) {
  for (const form of root.querySelectorAll("form[data-get-alerts]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      openDialog(form);
    });
  }
  const first = root.querySelector("form[data-get-alerts]");
  if (first?.dataset.key) markIfOn(first.dataset.key);
}

// Forms that remove this browser's device or its whole reader end the subscription before they leave.
export function enhanceRemovals(root) {
  for (const form of root.querySelectorAll("form[data-removes]")) {
    form.addEventListener("submit", async (event) => {
      const { removes } = form.dataset;
      if (event.defaultPrevented || (removes !== "everything" && !isThisBrowser(removes))) return;
      event.preventDefault();
      await turnAlertsOff().catch(() => null);
      form.submit();
    });
  }
}

async function markIfOn(key) {
  if (await areAlertsOn(key).catch(() => false)) for (const form of document.querySelectorAll("form[data-get-alerts]")) showOn(form);
}

function showOn(form) {
  form.querySelector("button").lastChild.textContent = " Alerts are on";
}

function openDialog(form) {
  const dialog = buildDialog(form);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

function buildDialog(form) {
  const dialog = element("dialog", { "aria-labelledby": "get-alerts-title" });
  const inner = element("form", { class: "dialog-inner stack", method: "dialog" });
  inner.append(element("h2", { id: "get-alerts-title" }, "Get alerts"));
  const obstacle = form.dataset.key ? findObstacle()?.text : "Alerts to browsers are not set up on this site.";
  const topics = buildTopics(form);
  if (obstacle) {
    inner.append(element("p", {}, obstacle), dialogFoot(element("button", { class: "button" }, "Close")));
  } else {
    inner.append(element("p", {}, "When something happens, a short message appears on this device, even while this page is closed. Your browser will ask for permission next. You can stop at any time under My alerts."));
    if (topics) inner.append(topics);
    inner.append(buildUrgency(), buildLanguages(form));
    const allow = element("button", { class: "button strong", value: "go" }, "Allow alerts");
    inner.append(dialogFoot(element("button", { class: "button quiet", value: "no", formnovalidate: "" }, "Not now"), allow));
    inner.addEventListener("submit", (event) => {
      if (event.submitter !== allow) return;
      event.preventDefault();
      register(form, inner, dialog, allow);
    });
  }
  dialog.append(inner);
  return dialog;
}

function buildTopics(form) {
  const inputs = [...form.querySelectorAll("input[name=topic]")];
  if (!inputs.length) return null;
  const fieldset = element("fieldset", {});
  fieldset.append(element("legend", {}, "About"));
  for (const input of inputs) {
    const label = element("label", { class: "choice" });
    const box = element("input", { type: "checkbox", name: "topic", value: input.value });
    box.checked = true;
    label.append(box, input.dataset.label);
    fieldset.append(label);
  }
  return fieldset;
}

function buildUrgency() {
  const label = element("label", { class: "field" }, "Alert me on ");
  const select = element("select", { name: "least_urgency" });
  for (const [value, text] of URGENCIES) select.append(element("option", { value }, text));
  label.append(select);
  return label;
}

// The languages that the reader reads and those of the site; names as their speakers write them.
function buildLanguages(form) {
  const chosen = knownLanguages();
  const base = (tag) => tag.split("-")[0].toLowerCase();
  const byBase = new Map(chosen.map((tag) => [base(tag), tag]).reverse());
  for (const tag of form.dataset.languages.split(" ").filter(Boolean)) if (!byBase.has(tag)) byBase.set(tag, tag);
  const fieldset = element("fieldset", {});
  const row = element("div", { class: "row" });
  const bases = new Set(chosen.map(base));
  for (const [language, tag] of byBase) {
    const label = element("label", { class: "chip" });
    const box = element("input", { type: "checkbox", name: "languages", value: tag });
    box.checked = bases.has(language);
    label.append(box, element("span", { lang: language }, nameLanguage(language)));
    row.append(label);
  }
  fieldset.append(element("legend", {}, "In languages that I read"), row);
  return fieldset;
}

function nameLanguage(tag) {
  try {
    return new Intl.DisplayNames([tag], { type: "language" }).of(tag);
  } catch (error) {
    return tag;
  }
}

async function register(form, inner, dialog, button) {
  button.disabled = true;
  const fields = new FormData(inner);
  try {
    const choices = { topics: fields.getAll("topic"), least_urgency: fields.get("least_urgency"), languages: fields.getAll("languages") };
    const { follows } = await getAlerts(form.dataset.key, choices);
    showFollows(follows);
    for (const other of document.querySelectorAll("form[data-get-alerts]")) showOn(other);
    dialog.close();
    showToast("Alerts are on. The next one will appear here.");
  } catch (error) {
    const reason = error instanceof Refused ? error.message : "The browser could not subscribe. Check the connection and try again.";
    inner.replaceChildren(element("h2", { id: "get-alerts-title" }, "No alerts yet"), element("p", { role: "alert" }, reason), dialogFoot(element("button", { class: "button" }, "Close")));
  }
}

function dialogFoot(...buttons) {
  const row = element("div", { class: "dialog-foot" });
  row.append(...buttons);
  return row;
}

function element(name, attributes, text) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}
