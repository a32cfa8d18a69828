// The control room: its live part is fetched every two seconds, and its age shown when that fails.
import { keepFresh } from "./live.js";
import { enhanceForms } from "./forms.js";
import { localTimes } from "./times.js";

localTimes(document);
enhanceForms(document);
showTroubles();
new MutationObserver(showTroubles).observe(document.querySelector("[data-live]"), { childList: true, subtree: true });
keepFresh(document.querySelector("[data-live]"), 2000, document.querySelector("[data-as-of]"));

// The tab says how many things are wrong, for who looks at another one.
function showTroubles() {
  const count = Number(document.querySelector("[data-troubles]")?.dataset.troubles ?? 0);
  const title = document.title.replace(/^\(\d+\) /, "");
  const text = count ? `(${count}) ${title}` : title;
  if (document.title !== text) document.title = text;
}
