// The service worker: shows alerts, opens stories, sends receipts, and serves pages offline.
const BUILD = "{{ build }}";
const SITE = {{ settings.site_name|tojson }};
const SHELL = `shell-${BUILD}`;
const PAGES = "read-1";
const MAX_PAGES = 60;
const STATIC = `/static/${BUILD}/`;
const FILES = ["/offline", `${STATIC}css/site.css`, `${STATIC}js/page.js`, `${STATIC}js/browser.js`, `${STATIC}js/follow.js`, `${STATIC}js/get-alerts.js`, `${STATIC}js/forms.js`, `${STATIC}js/times.js`, "/icon-192.png"];
const UNSENT_RECEIPTS = "sent-earlier";

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

// -- alerts

self.addEventListener("push", (event) => {
  const alert = parseAlert(event.data);
  event.waitUntil(showAlert(alert).then(() => sendReceipt(alert.receipt, "shown")));
});

function parseAlert(data) {
  try {
    return data.json();
  } catch (error) {
    return { title: data ? data.text() : "", body: "" };
  }
}

function showAlert(alert) {
  const options = {
    body: alert.body ?? "",
    icon: alert.icon ?? "/icon-192.png",
    badge: "/badge.png",
    image: alert.image,
    tag: alert.tag,
    renotify: Boolean(alert.tag) && !alert.silent,
    silent: Boolean(alert.silent) || alert.urgency === "quiet",
    requireInteraction: alert.urgency === "breaking",
    lang: alert.lang ?? "",
    dir: alert.dir ?? "auto",
    timestamp: Date.now(),
    data: { url: alert.url, receipt: alert.receipt, story: alert.story_id },
    actions: [{ action: "read", title: "Read" }, ...(alert.story_id ? [{ action: "mute", title: "Mute this topic" }] : [])],
  };
  return self.registration.showNotification(alert.title || SITE, options);
}

self.addEventListener("notificationclick", (event) => {
  const { url, receipt, story } = event.notification.data ?? {};
  event.notification.close();
  if (event.action === "mute") event.waitUntil(muteTopics(story));
  else event.waitUntil(Promise.all([openPage(url), sendReceipt(receipt, "opened")]));
});

async function openPage(url) {
  const target = new URL(url ?? "/", self.location.origin);
  const address = target.origin === self.location.origin ? target.href : self.location.origin + "/";
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const openedPage = pages.find((page) => page.url.split("#")[0] === address);
  if (openedPage) return openedPage.focus();
  return self.clients.openWindow(address);
}

async function muteTopics(story) {
  await fetch("/me/mute", {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams({ story, hours: "24" }),
  });
}

// A receipt that could not be sent is stored, and sent with the next one.
async function sendReceipt(receipt, kind) {
  if (!receipt) return;
  const cache = await caches.open(UNSENT_RECEIPTS);
  if (!(await postReceipt({ receipt, kind }))) return cache.put(`/receipts/${kind}/${receipt}`, new Response(JSON.stringify({ receipt, kind })));
  for (const key of await cache.keys()) {
    const unsent = await (await cache.match(key)).json();
    if (!(await postReceipt(unsent))) return;
    await cache.delete(key);
  }
}

async function postReceipt(body) {
  try {
    const response = await fetch("/api/receipts", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return response.status < 500;
  } catch (error) {
    return false;
  }
}

// -- subscriptions that the browser has renewed

self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(registerRenewed(event.oldSubscription, event.newSubscription));
});

async function registerRenewed(oldSubscription, newSubscription) {
  const { key } = await (await fetch("/me/browser")).json();
  if (!key) return;
  const options = { userVisibleOnly: true, applicationServerKey: key };
  const subscription = newSubscription ?? (await self.registration.pushManager.subscribe(options));
  const response = await putSubscription(subscription, oldSubscription);
  if (response.status !== 409) return;
  // Its push service has ended this one too: another has another address.
  await subscription.unsubscribe();
  await putSubscription(await self.registration.pushManager.subscribe(options), oldSubscription);
}

function putSubscription(subscription, oldSubscription) {
  const { endpoint, keys } = subscription.toJSON();
  return fetch("/me/browser", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ endpoint, keys, replaces: oldSubscription?.endpoint ?? null }),
  });
}
