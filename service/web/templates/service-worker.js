// The service worker: shows alerts, opens stories, sends receipts, and serves pages offline.
const BUILD = "{{ build }}";
const SITE = {{ settings.site_name|tojson }};
const SHELL = `shell-${BUILD}`;
const PAGES = "read-1";
const MAX_PAGES = 60;
const STATIC = `/static/${BUILD}/`;
const FILES = ["/offline", `${STATIC}css/site.css`, `${STATIC}js/page.js`, `${STATIC}js/browser.js`, `${STATIC}js/follow.js`, `${STATIC}js/get-alerts.js`, `${STATIC}js/forms.js`, `${STATIC}js/copy.js`, `${STATIC}js/pictures.js`, `${STATIC}js/share.js`, `${STATIC}js/words.js`, `${STATIC}js/times.js`, `${STATIC}kit/subscription.js`, `${STATIC}kit/storage.js`, "/icon-192.png"];
const UNSENT_RECEIPTS = "newszop-unsent";

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const current = new Set([SHELL, PAGES, UNSENT_RECEIPTS]);
    for (const name of await caches.keys()) if (!current.has(name)) await caches.delete(name);
    await self.clients.claim();
  })());
});

// -- reading offline: stories, topics and the front page as they were last opened

self.addEventListener("fetch", (event) => {
  const request = event.request;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith("/static/")) event.respondWith(fromCacheFirst(request));
  else if (request.mode === "navigate") event.respondWith(fromNetworkFirst(request, url));
});

// A page of an earlier build gets the files of this build when it is read offline.
async function fromCacheFirst(request) {
  const cached = await caches.match(request);
  if (cached) return cached;
  try {
    return await fetch(request);
  } catch (error) {
    const path = new URL(request.url).pathname.replace(/^\/static\/[^/]+\//, STATIC);
    return (await caches.match(path)) ?? Response.error();
  }
}

async function fromNetworkFirst(request, url) {
  try {
    const response = await fetch(request);
    const isPublic = url.pathname === "/" || /^\/(stories|topics)(\/|$)/.test(url.pathname);
    if (isPublic && response.ok && (response.headers.get("Cache-Control") ?? "").includes("public")) await storePage(request, response.clone());
    return response;
  } catch (error) {
    return (await caches.match(request, { ignoreVary: true })) ?? (await caches.match("/offline")) ?? Response.error();
  }
}

async function storePage(request, response) {
  const cache = await caches.open(PAGES);
  await cache.put(request, response);
  const keys = await cache.keys();
  for (const key of keys.slice(0, Math.max(0, keys.length - MAX_PAGES))) await cache.delete(key);
}

// -- alerts: the web kit's, with what only our own pages have

self.newszopSettings = {
  server: self.location.origin,
  site: SITE,
  badge: "/badge.png",
  actions: [{ action: "mute", title: "Mute this topic" }],
  onAction: { mute: ({ story }) => muteTopics(story) },
  renew: renewBrowser,
};
importScripts("{{ kit_worker }}");

async function muteTopics(story) {
  await fetch("/me/mute", {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams({ story, hours: "24" }),
  });
}

// Our own pages know the reader by a cookie.
async function renewBrowser(former, renewed) {
  const { key } = await (await fetch("/me/browser")).json();
  if (!key) return;
  await self.newszopWorker.register(key, former, renewed, ({ endpoint, keys }, replaces) => fetch("/me/browser", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ endpoint, keys, replaces: replaces ?? null }),
  }));
}
