// The service worker: shows alerts, opens stories, says what was shown and opened, reads offline.
const BUILD = "{{ build }}";
const SITE = {{ settings.site_name|tojson }};
const SHELL = `shell-${BUILD}`;
const READ = "read-1";
const MOST_READ = 60;
const STATIC = `/static/${BUILD}/`;
const FILES = ["/offline", `${STATIC}css/site.css`, `${STATIC}js/page.js`, `${STATIC}js/browser.js`, `${STATIC}js/follow.js`, `${STATIC}js/get-alerts.js`, `${STATIC}js/forms.js`, `${STATIC}js/times.js`, "/icon-192.png"];
const SENT_EARLIER = "sent-earlier";

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const kept = new Set([SHELL, READ, SENT_EARLIER]);
    for (const name of await caches.keys()) if (!kept.has(name)) await caches.delete(name);
    await self.clients.claim();
  })());
});

// -- reading offline: stories and fronts that were opened before

self.addEventListener("fetch", (event) => {
  const request = event.request;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname.startsWith("/static/")) event.respondWith(fromCacheFirst(request));
  else if (request.mode === "navigate") event.respondWith(fromNetworkFirst(request, url));
});

// A page that was read under an earlier build finds this build's files when it is offline.
async function fromCacheFirst(request) {
  const held = await caches.match(request);
  if (held) return held;
  try {
    return await fetch(request);
  } catch (error) {
    const path = new URL(request.url).pathname.replace(/^\/static\/[^/]+\//, STATIC);
    return (await caches.match(path)) ?? Response.error();
  }
}

async function fromNetworkFirst(request, url) {
  try {
    const answer = await fetch(request);
    const open = url.pathname === "/" || /^\/(stories|topics)(\/|$)/.test(url.pathname);
    if (open && answer.ok && (answer.headers.get("Cache-Control") ?? "").includes("public")) await keep(request, answer.clone());
    return answer;
  } catch (error) {
    return (await caches.match(request, { ignoreVary: true })) ?? (await caches.match("/offline")) ?? Response.error();
  }
}

async function keep(request, answer) {
  const cache = await caches.open(READ);
  await cache.put(request, answer);
  const keys = await cache.keys();
  for (const old of keys.slice(0, Math.max(0, keys.length - MOST_READ))) await cache.delete(old);
}

// -- alerts

self.addEventListener("push", (event) => {
  const alert = read(event.data);
  event.waitUntil(show(alert).then(() => tell(alert.receipt, "shown")));
});

function read(data) {
  try {
    return data.json();
  } catch (error) {
    return { title: data ? data.text() : "", body: "" };
  }
}

function show(alert) {
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
  if (event.action === "mute") event.waitUntil(mute(story));
  else event.waitUntil(Promise.all([open(url), tell(receipt, "opened")]));
});

async function open(url) {
  const target = new URL(url ?? "/", self.location.origin);
  const here = target.origin === self.location.origin ? target.href : self.location.origin + "/";
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const same = pages.find((page) => page.url.split("#")[0] === here);
  if (same) return same.focus();
  return self.clients.openWindow(here);
}

async function mute(story) {
  await fetch("/me/mute", {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams({ story, hours: "24" }),
  });
}

// A receipt that could not be told is kept, and told with the next one.
async function tell(receipt, kind) {
  if (!receipt) return;
  const cache = await caches.open(SENT_EARLIER);
  if (!(await post({ receipt, kind }))) return cache.put(`/receipts/${kind}/${receipt}`, new Response(JSON.stringify({ receipt, kind })));
  for (const key of await cache.keys()) {
    const waiting = await (await cache.match(key)).json();
    if (!(await post(waiting))) return;
    await cache.delete(key);
  }
}

async function post(body) {
  try {
    const answer = await fetch("/api/receipts", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return answer.status < 500;
  } catch (error) {
    return false;
  }
}

// -- a subscription that the browser renewed by itself

self.addEventListener("pushsubscriptionchange", (event) => {
  event.waitUntil(renew(event.oldSubscription, event.newSubscription));
});

async function renew(old, fresh) {
  const { key } = await (await fetch("/me/browser")).json();
  if (!key) return;
  const subscription = fresh ?? (await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
  const { endpoint, keys } = subscription.toJSON();
  await fetch("/me/browser", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ endpoint, keys, replaces: old?.endpoint ?? null }),
  });
}
