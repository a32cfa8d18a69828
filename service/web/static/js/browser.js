// This browser as a reader: what it follows, and whether it is a device that gets pushes.
// A browser that has never followed anything sends no request: during a rush the page is all it loads.
const READER_KEY = "newszop.reader";

export class Refused extends Error {}

export const isReader = () => readMark() === "yes";

function readMark() {
  try { return localStorage.getItem(READER_KEY); } catch (error) { return null; }
}

function markReader() {
  try { localStorage.setItem(READER_KEY, "yes"); } catch (error) { /* private windows may have no storage */ }
}

export async function fetchState() {
  const response = await fetch("/me/state", { headers: { Accept: "application/json" } });
  return response.ok ? response.json() : { reader: false, follows: [] };
}

export async function sendForm(path, fields) {
  const response = await fetch(path, { method: "POST", keepalive: true, headers: { Accept: "application/json" }, body: new URLSearchParams(fields) });
  if (!response.ok) throw new Refused(await readReason(response));
  markReader();
  return response.json();
}

async function readReason(response) {
  try {
    return (await response.json()).detail;
  } catch (error) {
    return "That did not work. Try again.";
  }
}

// Why this browser cannot get alerts; null if it can.
export function findObstacle() {
  if (!window.isSecureContext) return "Alerts need a secure connection (https).";
  const apple = /iPhone|iPad|iPod/.test(navigator.userAgent);
  const installed = window.matchMedia("(display-mode: standalone)").matches;
  if (apple && !installed && !("PushManager" in window)) return "On iPhone and iPad, first add this site to your Home Screen (Share, then Add to Home Screen) and open it from there.";
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) return "This browser cannot show alerts, but you can still follow topics. Try another browser.";
  if (Notification.permission === "denied") return "This browser blocks our alerts. Allow notifications in the site settings, beside the address, and try again.";
  return null;
}

export async function isSubscribed() {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return false;
  const worker = await navigator.serviceWorker.getRegistration("/");
  return Boolean(await worker?.pushManager.getSubscription()) && Notification.permission === "granted";
}

// Ask for permission, subscribe, and register device and topics in one request.
export async function getAlerts(key, topics, leastUrgency) {
  if ((await Notification.requestPermission()) !== "granted") throw new Refused(findObstacle() ?? "Alerts need your permission. Press Get alerts again when you want them.");
  await navigator.serviceWorker.register("/service-worker.js");
  const worker = await navigator.serviceWorker.ready;
  const choices = { topics, least_urgency: leastUrgency };
  let { subscription, replaces } = await subscribe(worker.pushManager, key);
  let response = await register(subscription, { ...choices, replaces });
  if (await isAddressGone(response)) {
    await subscription.unsubscribe();
    ({ subscription } = await subscribe(worker.pushManager, key));
    response = await register(subscription, choices);
  }
  if (!response.ok) throw new Refused(await readReason(response));
  markReader();
  return response.json();
}

function register(subscription, choices) {
  const { endpoint, keys } = subscription.toJSON();
  return fetch("/me/browser", {
    method: "PUT",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({
      endpoint, keys, ...choices,
      language: navigator.language || "en",
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
    }),
  });
}

// The push service has ended this subscription for good, and the browser does not know it.
async function isAddressGone(response) {
  if (response.status !== 409) return false;
  const problem = await response.clone().json().catch(() => ({}));
  return problem.type === "/problems/address-gone";
}

// A subscription made with an earlier key of ours no longer works: it is replaced.
async function subscribe(manager, key) {
  const options = { userVisibleOnly: true, applicationServerKey: bytes(key) };
  const current = await manager.getSubscription();
  const currentKey = current?.options?.applicationServerKey;
  if (currentKey && equal(new Uint8Array(currentKey), options.applicationServerKey)) return { subscription: current, replaces: null };
  const replaces = current?.endpoint ?? null;
  if (current) await current.unsubscribe();
  return { subscription: await manager.subscribe(options), replaces };
}

function bytes(base64url) {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

const equal = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);
