// The soft prompt: our own question first, the browser's only after a yes. A browser asks once; a no
// to it is for good.
import { build, openShadow } from "./elements.js";
import { recall, remember } from "./storage.js";

const DAY_MS = 24 * 3600_000;
const DEFAULTS = {
  after_views: 2, sections: [], wait_days: 30,
  title: "Get the news as it breaks", text: "A short message on this device when something happens. You can stop at any time.",
  yes: "Yes, alert me", no: "Not now",
};

export function countView() {
  remember("views", (recall("views") ?? 0) + 1);
}

// Whether the rules allow the question here and now.
export function mayAsk(rules, path = location.pathname, now = Date.now()) {
  const { after_views: views, sections, wait_days: days } = { ...DEFAULTS, ...rules };
  const refusedAt = recall("refused-at");
  const hereToo = !sections.length || sections.some((section) => path === section || path.startsWith(section.endsWith("/") ? section : `${section}/`));
  return hereToo && (recall("views") ?? 0) >= views && (refusedAt === null || now - refusedAt >= days * DAY_MS);
}

// Ask; the promise tells whether the reader pressed yes. `accept` runs within that click.
export function ask(rules, accept) {
  const { title, text, yes, no } = { ...DEFAULTS, ...rules };
  const host = build("newszop-prompt");
  const root = openShadow(host);
  const formerFocus = document.activeElement;
  return new Promise((resolve) => {
    const close = (answer) => {
      host.remove();
      formerFocus?.focus?.();
      if (!answer) remember("refused-at", Date.now());
      resolve(answer ? accept() : false);
    };
    const agree = build("button", { class: "yes", type: "button", onclick: () => close(true) }, yes);
    const refuse = build("button", { type: "button", onclick: () => close(false) }, no);
    const sheet = build("div", { class: "sheet", role: "dialog", "aria-labelledby": "title", "aria-describedby": "text", tabindex: "-1" }, build("h2", { id: "title" }, title), build("p", { id: "text" }, text), build("div", { class: "row" }, refuse, agree));
    sheet.addEventListener("keydown", (event) => { if (event.key === "Escape") close(false); });
    root.append(sheet);
    document.body.append(host);
    sheet.focus();
  });
}
