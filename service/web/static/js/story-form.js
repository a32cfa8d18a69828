// The story editor: rich text instead of HTML, topic suggestions, local times, and autosave.
import { csrfToken, enhanceForms } from "./forms.js";
import { localTimes } from "./times.js";

const AUTOSAVE_MS = 3000;
const COMMANDS = [
  ["bold", "B", "Bold"], ["italic", "I", "Italic"], ["formatBlock:h2", "H", "Heading"], ["formatBlock:p", "¶", "Paragraph"],
  ["formatBlock:blockquote", "”", "Quote"], ["insertUnorderedList", "•", "List"], ["createLink", "Link", "Link"], ["removeFormat", "Clear", "Clear formatting"],
];

localTimes(document);
enhanceForms(document);
const form = document.querySelector("[data-story-form]");
makeRichText(form.querySelector("[data-rich]"));
suggestTopics(form.querySelector("[data-topics]"));
for (const field of form.querySelectorAll("[data-utc]")) showLocalTime(field);
enableAutosave(form);

function makeRichText(textarea) {
  const area = document.createElement("div");
  area.className = "surface-input story-body rich";
  area.contentEditable = "true";
  area.setAttribute("role", "textbox");
  area.setAttribute("aria-multiline", "true");
  area.setAttribute("aria-labelledby", "body-label");
  area.setAttribute("aria-describedby", "body-hint");
  const language = form.language.value;
  area.lang = language;
  area.dir = "auto";
  area.innerHTML = toHtml(textarea.value);
  document.execCommand("defaultParagraphSeparator", false, "p");
  textarea.required = false;
  textarea.hidden = true;
  textarea.after(buildToolbar(area), area);
  form.querySelector("#body-hint .hint").textContent = "Enter starts a new paragraph. Text is pasted without formatting.";
  area.addEventListener("input", () => {
    wrapInParagraph(area);
    textarea.value = isEmpty(area) ? "" : area.innerHTML;
  });
  area.addEventListener("paste", (event) => {
    event.preventDefault();
    const plain = event.clipboardData.getData("text/plain");
    document.execCommand("insertHTML", false, toHtml(plain));
  });
  form.querySelector("#body-label").addEventListener("click", () => area.focus());
  return area;
}

// Text typed into an empty editor has no paragraph yet: it gets one.
function wrapInParagraph(area) {
  const bare = area.firstChild?.nodeType === Node.TEXT_NODE && area.firstChild.data.trim();
  if (bare) document.execCommand("formatBlock", false, "p");
}

const isEmpty = (area) => !area.textContent.trim() && !area.querySelector("img");

function toHtml(text) {
  if (/<\/?[a-z][^>]*>/i.test(text)) return sanitize(text);
  const container = document.createElement("div");
  for (const part of text.split(/\n\s*\n/)) {
    if (!part.trim()) continue;
    const paragraph = document.createElement("p");
    paragraph.textContent = part.trim();
    container.append(paragraph);
  }
  return container.innerHTML;
}

// Foreign HTML is parsed where no script runs, and loses everything that could run.
function sanitize(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  for (const element of page.body.querySelectorAll("*")) {
    if (element.matches("script, style, iframe, object, embed, link, meta, form")) element.remove();
    for (const { name } of [...element.attributes]) if (name.startsWith("on") || name === "style") element.removeAttribute(name);
  }
  return page.body.innerHTML;
}

function buildToolbar(area) {
  const bar = document.createElement("div");
  bar.className = "toolbar";
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "Formatting");
  for (const [command, text, label] of COMMANDS) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = command;
    button.textContent = text;
    button.title = label;
    button.setAttribute("aria-label", label);
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => applyCommand(area, command));
    bar.append(button);
  }
  return bar;
}

function applyCommand(area, command) {
  area.focus();
  const [name, value] = command.split(":");
  if (name !== "createLink") return document.execCommand(name, false, value);
  const address = window.prompt("Address of the link", "https://");
  if (address && /^(https?:|mailto:)/.test(address)) document.execCommand(name, false, address);
  return null;
}

// Suggests topics one after another, and points out those that do not exist yet.
function suggestTopics(field) {
  const options = [...field.list.options];
  const paths = options.map((option) => option.value);
  const hint = form.querySelector("#topics-hint .hint");
  const defaultHint = hint.textContent;
  hint.setAttribute("aria-live", "polite");
  field.addEventListener("input", () => {
    const [prefix] = field.value.match(/^(.*,\s*)?/);
    options.forEach((option, n) => { option.value = prefix + paths[n]; });
  });
  field.addEventListener("change", () => {
    const entries = field.value.toLowerCase().split(",").map((path) => path.trim());
    const newTopics = field.dataset.topics === "all" ? entries.filter((path) => path && !paths.includes(path)) : [];
    hint.textContent = newTopics.length ? `New topics without followers: ${newTopics.join(", ")}.` : defaultHint;
  });
}

// The form sends UTC; the field shows and takes the writer's local time.
function showLocalTime(field) {
  const localField = field.cloneNode();
  const label = form.querySelector(`label[for="${field.id}"]`);
  const date = new Date(`${field.value}Z`);
  label.textContent = label.textContent.replace("UTC", Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  if (field.value) localField.value = new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  localField.removeAttribute("name");
  localField.addEventListener("input", () => { field.value = localField.value && new Date(localField.value).toISOString().slice(0, 16); });
  field.type = "hidden";
  field.removeAttribute("id");
  field.before(localField);
}

function enableAutosave(form) {
  const status = form.querySelector("[data-autosave-state]");
  let timer = 0;
  let dirty = false;
  const save = async () => {
    clearTimeout(timer);
    timer = 0;
    if (!dirty) return;
    dirty = false;
    const fields = new URLSearchParams(new FormData(form));
    const response = await fetch(form.dataset.autosave, { method: "POST", headers: { "X-CSRF-Token": csrfToken() }, body: fields, keepalive: fields.toString().length < 60000 }).catch(() => null);
    dirty = dirty || !response?.ok;
    status.textContent = response?.ok ? `Autosaved at ${new Date().toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" })}, not saved yet.` : "Not autosaved: no connection. Do not close this page.";
    if (dirty) timer ||= setTimeout(save, AUTOSAVE_MS);
  };
  form.addEventListener("input", () => {
    dirty = true;
    timer ||= setTimeout(save, AUTOSAVE_MS);
  });
  form.addEventListener("submit", () => { dirty = false; clearTimeout(timer); });
  document.addEventListener("visibilitychange", () => { if (document.hidden) save(); });
  window.addEventListener("beforeunload", (event) => { if (dirty) { save(); event.preventDefault(); } });
}
