// This browser as a reader: what it follows, and whether it is a device that gets pushes.
// A browser that has never followed anything sends no request: during a rush the page is all it loads.
import { say } from "./words.js";
import { forget, recall, remember } from "../kit/storage.js";
import { askPermission, currentSubscription, findObstacle, hasKey, isAddressGone, subscribeAndRegister } from "../kit/subscription.js";

const RENEW_MS = 24 * 3600_000;

export class Refused extends Error {}

export const isReader = () => recall("reader") === "yes";

const markReader = () => remember("reader", "yes");

let state = null;

// Return what the page starts with; asked for once.
export function fetchState() {
  state ??= requestState();
  return state;
}

async function requestState() {
  const response = await fetch("/me/state", { headers: { Accept: "application/json" } });
  if (!response.ok) return { reader: false, follows: [], devices: null };
  const answer = await response.json();
  if (answer.languages) rememberLanguages(answer.languages);
  return answer;
}

// What `unread.js` shows pages by: the languages that this reader has chosen, else those of the browser.
export const knownLanguages = () => recall("languages") ?? [...(navigator.languages ?? [])];

export function rememberLanguages(tags) {
  if (tags.length) remember("languages", tags);
  else forget("languages");
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

// Whether alerts are on: only when the browser and the server agree. What differs is mended first: a
// key that we replaced, a subscription that the browser renewed, a device that is not on record. While
// the server does not say which devices it has, what this browser remembers holds.
export async function areAlertsOn(key) {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return false;
  const registration = await navigator.serviceWorker.getRegistration("/");
  const subscription = registration && (await currentSubscription(registration));
  if (!subscription) return false;
  const known = recall("browser");
  const { devices } = await fetchState();
  const isRecent = known && Date.now() - known.registeredAt < RENEW_MS;
  if (isRecent && known.endpoint === subscription.endpoint && hasKey(subscription, key) && (devices?.includes(known.id) ?? true)) return true;
  await register(registration.pushManager, key, { topics: [] });
  return true;
}

// End this browser's subscription: its device is being removed, and must not come back by itself.
export async function turnAlertsOff() {
  forget("browser");
  const registration = await navigator.serviceWorker?.getRegistration("/");
  const subscription = registration && (await currentSubscription(registration));
  await subscription?.unsubscribe();
}

export const isThisBrowser = (deviceId) => recall("browser")?.id === deviceId;

// Ask for permission, subscribe, and register device and topics in one request.
export async function getAlerts(key, choices) {
  if (!(await askPermission())) throw new Refused(findObstacle()?.text ?? say("Alerts need your permission. Press Get alerts again when you want them."));
  await navigator.serviceWorker.register("/service-worker.js");
  const worker = await navigator.serviceWorker.ready;
  return register(worker.pushManager, key, choices);
}

async function register(manager, key, choices) {
  let answer = null;
  const subscription = await subscribeAndRegister(manager, key, async (candidate, replaces) => {
    const response = await putBrowser(candidate, { ...choices, replaces });
    if (await isAddressGone(response)) return false;
    if (!response.ok) throw new Refused(await readReason(response));
    answer = await response.json();
    return true;
  });
  markReader();
  rememberLanguages(answer.languages);
  remember("browser", { id: answer.device, endpoint: subscription.endpoint, registeredAt: Date.now() });
  return answer;
}

function putBrowser(subscription, choices) {
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
