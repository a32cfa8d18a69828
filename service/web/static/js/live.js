// Parts of a page that stay true: fetched again and again, honest about their age when they cannot be.
import { localTimes, span } from "./times.js";
import { enhanceForms } from "./forms.js";

// Ask for `holder`'s address every `everyMs` and put each [data-part] in place of the one shown.
export function keepFresh(holder, everyMs, asOf) {
  let at = Date.now();
  let lost = false;
  const tell = () => {
    const seconds = (Date.now() - at) / 1000;
    const old = seconds * 1000 > everyMs * 3;
    if (!asOf) return;
    asOf.textContent = lost || old ? `Connection lost. As of ${span(seconds)} ago` : "Live";
    asOf.classList.toggle("lost", lost || old);
    holder.classList.toggle("stale", lost && old);
  };
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(holder.dataset.live, { signal: AbortSignal.timeout(8000) });
      if (answer.redirected) return window.location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      replaceParts(holder, await answer.text());
      [at, lost] = [Date.now(), false];
    } catch (error) {
      lost = true;
    }
    tell();
  };
  setInterval(look, everyMs);
  setInterval(tell, 1000);
  document.addEventListener("visibilitychange", look);
  tell();
}

// A part in which somebody is typing, or has opened something, is left alone.
function replaceParts(holder, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const parts = new Map([...fresh.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  const shown = new Map([...holder.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
  if ([...parts.keys()].join() !== [...shown.keys()].join()) {
    if (!busy(holder)) holder.replaceChildren(...fresh.childNodes);
  } else {
    for (const [name, part] of shown) if (!busy(part)) replaceKeepingFocus(part, parts.get(name));
  }
  localTimes(holder);
  enhanceForms(holder);
}

function busy(part) {
  const field = document.activeElement;
  const typing = part.contains(field) && field.matches("input, textarea, select");
  return typing || Boolean(part.querySelector("details[open]"));
}

// The button or link that had the focus keeps it: it is found again by where it stands.
function replaceKeepingFocus(part, fresh) {
  if (part.innerHTML === fresh.innerHTML) return;
  const focusable = "a[href], button, summary";
  const place = [...part.querySelectorAll(focusable)].indexOf(document.activeElement);
  part.replaceWith(fresh);
  if (place >= 0) fresh.querySelectorAll(focusable)[place]?.focus();
}
