// This browser as a reader: what it follows, and whether it is a device that can be pushed to.
// A browser that never followed anything asks nothing: the page stays one request in a rush.
const KNOWN = "newszop.reader";

export class Refused extends Error {}

export const isReader = () => remembered() === "yes";

function remembered() {
  try { return localStorage.getItem(KNOWN); } catch (error) { return null; }
}

function remember() {
  try { localStorage.setItem(KNOWN, "yes"); } catch (error) { /* private windows may refuse */ }
}

export async function state() {
  const answer = await fetch("/me/state", { headers: { Accept: "application/json" } });
  return answer.ok ? answer.json() : { reader: false, follows: [] };
}

export async function send(path, fields) {
  const answer = await fetch(path, { method: "POST", keepalive: true, headers: { Accept: "application/json" }, body: new URLSearchParams(fields) });
  if (!answer.ok) throw new Refused(await reason(answer));
  remember();
  return answer.json();
}

async function reason(answer) {
  try {
    return (await answer.json()).detail;
  } catch (error) {
    return "That did not work. Try again.";
  }
}

// What stands in the way of alerts here: null when nothing does.
export function obstacle() {
  if (!window.isSecureContext) return "Alerts need a secure connection (https).";
  const apple = /iPhone|iPad|iPod/.test(navigator.userAgent);
  const installed = window.matchMedia("(display-mode: standalone)").matches;
  if (apple && !installed && !("PushManager" in window)) return "On iPhone and iPad: add this site to your Home Screen first (Share, then Add to Home Screen), and open it from there.";
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) return "This browser cannot show alerts. The topics you follow are kept; other browsers can.";
  if (Notification.permission === "denied") return "You told this browser not to show our alerts. Allow notifications in the site's settings, beside the address, and press again.";
  return null;
}

export async function subscribed() {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return false;
  const worker = await navigator.serviceWorker.getRegistration("/");
  return Boolean(await worker?.pushManager.getSubscription()) && Notification.permission === "granted";
}

// Ask for permission, subscribe, and register device and topics in one request.
export async function getAlerts(key, topics, leastUrgency) {
  if ((await Notification.requestPermission()) !== "granted") throw new Refused(obstacle() ?? "Without the permission no alert can be shown. Press Get alerts again when you want them.");
  await navigator.serviceWorker.register("/service-worker.js");
  const worker = await navigator.serviceWorker.ready;
  const { subscription, replaces } = await subscribe(worker.pushManager, key);
  const { endpoint, keys } = subscription.toJSON();
  const answer = await fetch("/me/browser", {
    method: "PUT",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify({
      endpoint, keys, replaces, topics, least_urgency: leastUrgency,
      language: navigator.language || "en",
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
    }),
  });
  if (!answer.ok) throw new Refused(await reason(answer));
  remember();
  return answer.json();
}

// A subscription made with another key of ours is of no use any more: it is replaced.
async function subscribe(manager, key) {
  const wanted = { userVisibleOnly: true, applicationServerKey: bytes(key) };
  const held = await manager.getSubscription();
  const same = held?.options?.applicationServerKey;
  if (held && same && equal(new Uint8Array(same), wanted.applicationServerKey)) return { subscription: held, replaces: null };
  const replaces = held?.endpoint ?? null;
  if (held) await held.unsubscribe();
  return { subscription: await manager.subscribe(wanted), replaces };
}

function bytes(base64url) {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

const equal = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);
