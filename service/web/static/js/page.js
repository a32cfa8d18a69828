// Every page for readers: the visitor's own time, the follow buttons, Get alerts, small comforts.
import { localTimes } from "./times.js";
import { enhanceFollow } from "./follow.js";
import { enhanceGetAlerts } from "./get-alerts.js";
import { enhanceForms } from "./forms.js";

localTimes(document);
enhanceForms(document);
enhanceFollow(document);
enhanceGetAlerts(document);
leadToTheRightStore(document.querySelector("[data-app-link]"));
nextStoryByKey(document.querySelector("[data-next-story]"));
fillTimeZone(document.querySelector("[data-timezone]"));
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/service-worker.js");

function leadToTheRightStore(link) {
  if (!link) return;
  const agent = navigator.userAgent;
  const apple = /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1);
  const store = apple ? link.dataset.ios : /Android/.test(agent) ? link.dataset.android : "";
  if (store) link.href = store;
}

// The arrow that points onwards opens the next story, unless it is needed for something else.
function nextStoryByKey(link) {
  if (!link) return;
  const rightToLeft = document.querySelector(".story")?.dir === "rtl";
  const onwards = rightToLeft ? "ArrowLeft" : "ArrowRight";
  document.addEventListener("keydown", (event) => {
    const plain = !(event.altKey || event.ctrlKey || event.metaKey || event.shiftKey);
    const busy = event.target.closest("input, textarea, select, dialog, [contenteditable], .scroll");
    if (event.key === onwards && plain && !busy && !event.defaultPrevented) link.click();
  });
}

function fillTimeZone(field) {
  if (field && field.value === "UTC") field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
