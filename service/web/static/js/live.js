// Live parts of a page: fetched regularly, with their age shown when that fails.
import { localTimes, span } from "./times.js";
import { enhanceForms } from "./forms.js";

// Fetch the address of `container` every `intervalMs` and replace each [data-part] by the new one.
export function keepFresh(container, intervalMs, asOf) {
  let updatedAt = Date.now();
  let failed = false;
  const showAge = () => {
    const seconds = (Date.now() - updatedAt) / 1000;
    const stale = seconds * 1000 > intervalMs * 3;
    if (!asOf) return;
    asOf.textContent = failed || stale ? `Connection lost. As of ${span(seconds)} ago` : "Live";
    asOf.classList.toggle("lost", failed || stale);
    container.classList.toggle("stale", failed && stale);
  };
  const refresh = async () => {
    if (document.hidden) return;
    try {
      const response = await fetch(container.dataset.live, { signal: AbortSignal.timeout(8000) });
      if (response.redirected || response.status === 401) return window.location.reload();
      if (!response.ok) throw new Error(String(response.status));
      replaceParts(container, await response.text());
      [updatedAt, failed] = [Date.now(), false];
    } catch (error) {
      failed = true;
    }
    showAge();
  };
  setInterval(refresh, intervalMs);
  setInterval(showAge, 1000);
  document.addEventListener("visibilitychange", refresh);
  showAge();
}

// A part in which the visitor is typing or has opened something is not replaced.
function replaceParts(container, html) {
  const page = new DOMParser().parseFromString(html, "text/html").body;
  const newParts = new Map([...page.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  const oldParts = new Map([...container.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  if ([...newParts.keys()].sort().join() !== [...oldParts.keys()].sort().join()) {
    if (!isBusy(container)) container.replaceChildren(...page.childNodes);
  } else {
    for (const [name, part] of oldParts) if (!isBusy(part)) replaceKeepingFocus(part, newParts.get(name));
  }
  localTimes(container);
  enhanceForms(container);
}

function isBusy(part) {
  const field = document.activeElement;
  const typing = part.contains(field) && field.matches("input, textarea, select");
  return typing || Boolean(part.querySelector("details[open]"));
}

// The button or link that had the focus keeps it: its position in the part identifies it.
function replaceKeepingFocus(part, newPart) {
  if (part.innerHTML === newPart.innerHTML) return;
  const focusable = "a[href], button, summary";
  const index = [...part.querySelectorAll(focusable)].indexOf(document.activeElement);
  part.replaceWith(newPart);
  if (index >= 0) newPart.querySelectorAll(focusable)[index]?.focus();
}
