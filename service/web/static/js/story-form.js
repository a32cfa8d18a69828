// Writing: a surface with the usual marks in place of the HTML, topics, times, and autosave.
import { csrf, enhanceForms } from "./forms.js";
import { localTimes } from "./times.js";

const AUTOSAVE_MS = 3000;
const MARKS = [
  ["bold", "B", "Bold"], ["italic", "I", "Italic"], ["formatBlock:h2", "H", "Heading"], ["formatBlock:p", "¶", "Paragraph"],
  ["formatBlock:blockquote", "”", "Quote"], ["insertUnorderedList", "•", "List"], ["createLink", "Link", "Link"], ["removeFormat", "Clear", "Clear marks"],
];

localTimes(document);
enhanceForms(document);
const form = document.querySelector("[data-story-form]");
const surface = rich(form.querySelector("[data-rich]"));
nameTopics(form.querySelector("[data-topics]"));
for (const field of form.querySelectorAll("[data-utc]")) showOnTheWritersClock(field);
autosave(form);

function rich(textarea) {
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
  area.innerHTML = asHtml(textarea.value);
  document.execCommand("defaultParagraphSeparator", false, "p");
  textarea.required = false;
  textarea.hidden = true;
  textarea.after(toolbar(area), area);
  form.querySelector("#body-hint .hint").textContent = "Enter begins a new paragraph. What you paste comes in as plain text.";
  area.addEventListener("input", () => {
    paragraph(area);
    textarea.value = empty(area) ? "" : area.innerHTML;
  });
  area.addEventListener("paste", (event) => {
    event.preventDefault();
    const plain = event.clipboardData.getData("text/plain");
    document.execCommand("insertHTML", false, asHtml(plain));
  });
  form.querySelector("#body-label").addEventListener("click", () => area.focus());
  return area;
}

// What is typed on an empty surface stands in no paragraph: it gets one.
function paragraph(area) {
  const bare = area.firstChild?.nodeType === Node.TEXT_NODE && area.firstChild.data.trim();
  if (bare) document.execCommand("formatBlock", false, "p");
}

const empty = (area) => !area.textContent.trim() && !area.querySelector("img");

function asHtml(text) {
  if (/<\/?[a-z][^>]*>/i.test(text)) return inert(text);
  const holder = document.createElement("div");
  for (const part of text.split(/\n\s*\n/)) {
    if (!part.trim()) continue;
    const paragraph = document.createElement("p");
    paragraph.textContent = part.trim();
    holder.append(paragraph);
  }
  return holder.innerHTML;
}

// What was typed elsewhere is parsed where nothing runs, and loses what could act.
function inert(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const element of parsed.body.querySelectorAll("*")) {
    if (element.matches("script, style, iframe, object, embed, link, meta, form")) element.remove();
    for (const { name } of [...element.attributes]) if (name.startsWith("on") || name === "style") element.removeAttribute(name);
  }
  return parsed.body.innerHTML;
}

function toolbar(area) {
  const bar = document.createElement("div");
  bar.className = "toolbar";
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", "Marks");
  for (const [command, words, label] of MARKS) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = command;
    button.textContent = words;
    button.title = label;
    button.setAttribute("aria-label", label);
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", () => mark(area, command));
    bar.append(button);
  }
  return bar;
}

function mark(area, command) {
  area.focus();
  const [name, value] = command.split(":");
  if (name !== "createLink") return document.execCommand(name, false, value);
  const address = window.prompt("Where does the link lead?", "https://");
  if (address && /^(https?:|mailto:)/.test(address)) document.execCommand(name, false, address);
  return null;
}

// Topics are completed one after another, and a name that nobody has used yet is said to be new.
function nameTopics(field) {
  const options = [...field.list.options];
  const known = options.map((option) => option.value);
  const hint = form.querySelector("#topics-hint .hint");
  const usual = hint.textContent;
  hint.setAttribute("aria-live", "polite");
  field.addEventListener("input", () => {
    const [before] = field.value.match(/^(.*,\s*)?/);
    options.forEach((option, n) => { option.value = before + known[n]; });
  });
  field.addEventListener("change", () => {
    const typed = field.value.toLowerCase().split(",").map((path) => path.trim());
    const fresh = field.dataset.topics === "all" ? typed.filter((path) => path && !known.includes(path)) : [];
    hint.textContent = fresh.length ? `New, and followed by nobody yet: ${fresh.join(", ")}.` : usual;
  });
}

// What is sent stays in UTC; what is shown and typed is the writer's own time.
function showOnTheWritersClock(field) {
  const shown = field.cloneNode();
  const label = form.querySelector(`label[for="${field.id}"]`);
  const at = new Date(`${field.value}Z`);
  label.textContent = label.textContent.replace("UTC", Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  if (field.value) shown.value = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  shown.removeAttribute("name");
  shown.addEventListener("input", () => { field.value = shown.value && new Date(shown.value).toISOString().slice(0, 16); });
  field.type = "hidden";
  field.removeAttribute("id");
  field.before(shown);
}

function autosave(form) {
  const state = form.querySelector("[data-autosave-state]");
  let timer = 0;
  let dirty = false;
  const save = async () => {
    clearTimeout(timer);
    timer = 0;
    if (!dirty) return;
    dirty = false;
    const fields = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.dataset.autosave, { method: "POST", headers: { "X-CSRF-Token": csrf() }, body: fields, keepalive: fields.toString().length < 60000 }).catch(() => null);
    dirty = dirty || !answer?.ok;
    state.textContent = answer?.ok ? `Kept at ${new Date().toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" })}, not saved yet.` : "Not kept: no connection. Do not close this page.";
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
