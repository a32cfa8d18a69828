// The story editor: rich text instead of HTML, topic suggestions, local times, and autosave.
import { enableAutosave } from "./autosave.js";
import { enhanceForms } from "./forms.js";
import { enablePaste } from "./paste.js";
import { enablePictureField } from "./picture-field.js";
import { localTimes, localValue, showLocalField } from "./times.js";

const COMMANDS = [
  ["bold", "B", "Bold"], ["italic", "I", "Italic"], ["formatBlock:h2", "H", "Heading"], ["formatBlock:p", "¶", "Paragraph"],
  ["formatBlock:blockquote", "”", "Quote"], ["insertUnorderedList", "•", "List"], ["createLink", "Link", "Link"], ["removeFormat", "Clear", "Clear formatting"],
];

localTimes(document);
enhanceForms(document);
const form = document.querySelector("[data-story-form]");
const knownTopics = [...document.querySelectorAll("#known-topics option")].map((option) => option.value);
makeRichText(form.querySelector("[data-rich]"));
suggestTopics(form.querySelector("[data-topics]"));
for (const field of form.querySelectorAll("[data-utc]")) showLocalField(form, field);
const picture = enablePictureField(form);
enableAutosave(form, showFields, async (submitter) => agreeOnTopics(submitter) && picture.agree(submitter));

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
  form.querySelector("#body-hint .hint").textContent = "Enter starts a new paragraph. Pasted text keeps its paragraphs, headings, lists and links.";
  area.addEventListener("input", () => {
    wrapInParagraph(area);
    textarea.value = isEmpty(area) ? "" : area.innerHTML;
  });
  enablePaste(area, toHtml, (sentence) => picture.say(sentence));
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
  const paths = knownTopics;
  const hint = form.querySelector("#topics-hint .hint");
  const defaultHint = hint.textContent;
  hint.setAttribute("aria-live", "polite");
  field.addEventListener("input", () => {
    const [prefix] = field.value.match(/^(.*,\s*)?/);
    options.forEach((option, n) => { option.value = prefix + paths[n]; });
  });
  field.addEventListener("change", () => {
    const topics = newTopics(field);
    hint.textContent = topics.length ? `New topics without followers: ${topics.join(", ")}.` : defaultHint;
  });
}

// Known only where the page lists every topic.
function newTopics(field) {
  const entries = field.value.toLowerCase().split(",").map((path) => path.trim());
  return field.dataset.topics === "all" ? entries.filter((path) => path && !knownTopics.includes(path)) : [];
}

// Puts kept text back into the fields, and into those that stand for them.
function showFields(fields) {
  for (const [name, value] of Object.entries(fields)) {
    const field = form.elements[name];
    if (field && name !== "csrf") field.value = value;
  }
  const area = form.querySelector(".rich");
  area.innerHTML = toHtml(form.body.value);
  picture.show();
  for (const field of form.querySelectorAll("[data-utc]")) field.previousElementSibling.value = localValue(field.value);
}

// A topic that does not exist yet begins with this story: the writer is asked, since a typing error would too.
function agreeOnTopics(submitter) {
  const topics = submitter?.value === "draft" ? [] : newTopics(form.querySelector("[data-topics]"));
  return !topics.length || window.confirm(`New topics, which nobody follows yet: ${topics.join(", ")}. Create them?`);
}
