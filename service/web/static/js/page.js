// Every page for readers: local times, follow buttons, Get alerts, the app link, the key for Next Story.
import { localTimes } from "./times.js";
import { rememberLanguages } from "./browser.js";
import { enhanceShare } from "./share.js";
import { enhanceFollow } from "./follow.js";
import { enhanceGetAlerts, enhanceRemovals } from "./get-alerts.js";
import { enhanceForms } from "./forms.js";
import { enhanceCopies } from "./copy.js";
import { dropBrokenPictures } from "./pictures.js";

dropBrokenPictures(document);
localTimes(document);
enhanceForms(document);
enhanceCopies(document);
enhanceFollow(document);
enhanceGetAlerts(document);
enhanceRemovals(document);
enhanceShare(document.querySelector("[data-share]"));
linkToAppStore(document.querySelector("[data-app-link]"));
openNextStoryByKey(document.querySelector("[data-next-story]"));
keepLanguages(document.querySelector("[data-my-languages]"));
fillTimeZone(document.querySelector("[data-timezone]"));
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/service-worker.js");

function linkToAppStore(link) {
  if (!link) return;
  const agent = navigator.userAgent;
  const apple = /iPhone|iPad|iPod/.test(agent) || (/Macintosh/.test(agent) && navigator.maxTouchPoints > 1);
  const store = apple ? link.dataset.ios : /Android/.test(agent) ? link.dataset.android : "";
  if (store) link.href = store;
}

// The arrow key in the reading direction opens the next story, unless something else needs it.
function openNextStoryByKey(link) {
  if (!link) return;
  const rightToLeft = document.querySelector(".story")?.dir === "rtl";
  const forwardKey = rightToLeft ? "ArrowLeft" : "ArrowRight";
  document.addEventListener("keydown", (event) => {
    const plain = !(event.altKey || event.ctrlKey || event.metaKey || event.shiftKey);
    const busy = event.target.closest("input, textarea, select, dialog, [contenteditable], .scroll");
    if (event.key === forwardKey && plain && !busy && !event.defaultPrevented) link.click();
  });
}

function keepLanguages(form) {
  if (form) rememberLanguages(form.dataset.myLanguages.split(" ").filter(Boolean));
}

function fillTimeZone(field) {
  if (field && field.value === "UTC") field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
