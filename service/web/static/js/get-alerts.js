// Get alerts: explains, asks the browser for permission, and registers device and topics in one request.
import { findObstacle } from "../kit/subscription.js";
import { Refused, areAlertsOn, fetchState, getAlerts, isReader, isThisBrowser, knownLanguages, sendForm, turnAlertsOff } from "./browser.js";
import { showFollows } from "./follow.js";
import { showToast } from "./forms.js";
import { say } from "./words.js";

const URGENCIES = [["quiet", say("Everything")], ["normal", say("Normal and breaking")], ["breaking", say("Breaking only")]];

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
  if (await areAlertsOn(key).catch(() => false)) showOn((await fetchState()).follows);
}

function showOn(follows) {
  const words = follows.length === 1 ? say("Alerts: 1 topic") : say("Alerts: {n} topics", { n: follows.length });
  for (const form of document.querySelectorAll("form[data-get-alerts]")) {
    form.dataset.on = "yes";
    form.querySelector("[data-alerts-text]").textContent = words;
  }
}

function showOff() {
  for (const form of document.querySelectorAll("form[data-get-alerts]")) {
    form.dataset.on = "";
    form.querySelector("[data-alerts-text]").textContent = say("Get alerts");
  }
}

function openDialog(form) {
  const dialog = element("dialog", { "aria-labelledby": "get-alerts-title" });
  const inner = element("form", { class: "dialog-inner stack", method: "dialog" });
  dialog.append(inner);
  if (form.dataset.on) fillOn(inner, dialog);
  else fillAsk(form, inner, dialog);
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

// Alerts are on: what comes, where to change it, and one switch that ends all of it.
function fillOn(inner, dialog) {
  const off = element("button", { class: "button", type: "button" }, say("Turn all alerts off"));
  inner.append(
    element("h2", { id: "get-alerts-title" }, say("Alerts are on")),
    element("p", {}, say("Topics, languages, quiet hours and how many a day are under My alerts.")),
    element("p", { role: "alert", class: "fault" }),
    dialogFoot(off, element("a", { class: "button quiet", href: "/me" }, say("My alerts")), element("button", { class: "button strong" }, say("Close"))),
  );
  off.addEventListener("click", async () => {
    off.disabled = true;
    try {
      await turnAlertsOff();
      await sendForm("/me/alerts-off", {});
      showOff();
      dialog.close();
      showToast(say("All alerts are off. What you follow is kept."));
    } catch (error) {
      off.disabled = false;
      inner.querySelector("[role=alert]").textContent = error instanceof Refused ? error.message : say("No connection. Try again.");
    }
  });
}

function fillAsk(form, inner, dialog) {
  inner.append(element("h2", { id: "get-alerts-title" }, say("Get alerts")));
  const obstacle = form.dataset.key ? findObstacle() : { text: say("Alerts to browsers are not set up on this site.") };
  if (obstacle) {
    inner.append(element("p", {}, say(obstacle.text)));
    if (obstacle.code === "home-screen" || obstacle.code === "unsupported") {
      const app = element("p", {}, `${say("Or get alerts in the app:")} `);
      app.append(element("a", { href: form.dataset.appUrl }, form.dataset.app));
      inner.append(app);
    }
    inner.append(dialogFoot(element("button", { class: "button" }, say("Close"))));
    return;
  }
  const allow = element("button", { class: "button strong", value: "go" }, say("Allow alerts"));
  inner.append(
    element("p", {}, say("A short message appears on this device, even while this page is closed. Your browser will ask for permission next.")),
    buildTopics(form),
    buildUrgency(),
    buildLanguages(form),
    element("p", { class: "notice", role: "status", "data-what-comes": "" }),
    dialogFoot(element("button", { class: "button quiet", value: "no", formnovalidate: "" }, say("Not now")), allow),
  );
  describeChoice(inner);
  inner.addEventListener("change", () => describeChoice(inner));
  inner.addEventListener("submit", async (event) => {
    if (event.submitter !== allow) return;
    event.preventDefault();
    if (await hasChosen(inner)) register(form, inner, dialog, allow);
    else describeChoice(inner, say("Choose at least one topic."));
  });
}

// Whoever follows something already may add nothing to it.
async function hasChosen(inner) {
  return inner.querySelector("[name=topic]:checked") || (isReader() && (await fetchState()).follows.length > 0);
}

// Say what will come, in one sentence that follows what is chosen.
function describeChoice(inner, fault = "") {
  const names = (selector) => [...inner.querySelectorAll(selector)].map((box) => box.parentElement.textContent.trim());
  const page = document.documentElement.lang;
  const topics = new Intl.ListFormat(page).format(names("[name=topic]:checked"));
  const languages = new Intl.ListFormat(page, { type: "disjunction" }).format(names("[name=languages]:checked"));
  const what = inner.querySelector("[data-what-comes]");
  what.textContent = fault || (topics ? sayWhatComes(inner.querySelector("[name=least_urgency]").value, topics, languages) : say("Choose what the alerts should be about."));
  what.classList.toggle("bad", Boolean(fault));
}

function sayWhatComes(leastUrgency, topics, languages) {
  const sentences = {
    quiet: say("You will get every alert on {topics}. You can stop at any time.", { topics }),
    normal: say("You will get normal and breaking alerts on {topics}. You can stop at any time.", { topics }),
    breaking: say("You will get breaking alerts on {topics}. You can stop at any time.", { topics }),
  };
  return sentences[leastUrgency] + (languages ? ` ${say("In {languages}.", { languages })}` : "");
}

function buildTopics(form) {
  const fieldset = element("fieldset", {});
  const row = element("div", { class: "row" });
  for (const input of form.querySelectorAll("input[name=topic]")) {
    const label = element("label", { class: "chip" });
    const box = element("input", { type: "checkbox", name: "topic", value: input.value });
    box.checked = !input.disabled;
    label.append(box, input.dataset.label);
    row.append(label);
  }
  fieldset.append(element("legend", {}, say("About")), row);
  return fieldset;
}

function buildUrgency() {
  const label = element("label", { class: "field" }, `${say("Alert me on")} `);
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
  fieldset.append(element("legend", {}, say("In languages that I read")), row);
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
    showOn(follows);
    dialog.close();
    showToast(say("Alerts are on. The next one will appear here."));
  } catch (error) {
    const reason = error instanceof Refused ? say(error.message) : say("The browser could not subscribe. Check the connection and try again.");
    inner.replaceChildren(element("h2", { id: "get-alerts-title" }, say("No alerts yet")), element("p", { role: "alert" }, reason), dialogFoot(element("button", { class: "button" }, say("Close"))));
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
