// The browser's side of an alert: whether it can get alerts, its worker, its subscription.

// Why this browser cannot get alerts; null if it can. `code` names it for scripts.
export function findObstacle() {
  if (!window.isSecureContext) return obstacle("insecure", "Alerts need a secure connection (https).");
  if (needsHomeScreen()) return obstacle("home-screen", "On iPhone and iPad, first add this site to your Home Screen (Share, then Add to Home Screen) and open it from there.");
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) return obstacle("unsupported", "This browser cannot show alerts, but you can still follow topics. Try another browser.");
  if (Notification.permission === "denied") return obstacle("denied", "This browser blocks our alerts. Allow notifications in the site settings, beside the address, and try again.");
  return null;
}

const obstacle = (code, text) => ({ code, text });

// WebKit offers push on a phone only to a site that was added to the Home Screen.
function needsHomeScreen() {
  const apple = /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Macintosh/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);
  return apple && !("PushManager" in window) && !window.matchMedia("(display-mode: standalone)").matches;
}

export async function askPermission() {
  return (await Notification.requestPermission()) === "granted";
}

// Return the registration once it has an active worker; a scope of its own has no `ready`.
export async function activeWorker(registration) {
  const worker = registration.active ?? registration.waiting ?? registration.installing;
  if (!registration.active) await new Promise((resolve, reject) => {
    worker.addEventListener("statechange", () => {
      if (worker.state === "activated") resolve();
      if (worker.state === "redundant") reject(new Error("The service worker could not be installed."));
    });
    if (registration.active) resolve();
  });
  return registration;
}

export async function currentSubscription(registration) {
  if (!registration?.pushManager || Notification.permission !== "granted") return null;
  return registration.pushManager.getSubscription();
}

// Whether the subscription was made with this key; with an earlier key of ours it gets nothing.
export function hasKey(subscription, key) {
  const own = subscription.options?.applicationServerKey;
  return Boolean(own) && equal(new Uint8Array(own), bytes(key));
}

// Return the subscription under this key, and the address of the one it replaces.
export async function subscribe(manager, key) {
  const current = await manager.getSubscription();
  if (current && hasKey(current, key)) return { subscription: current, replaces: null };
  const replaces = current?.endpoint ?? null;
  if (current) await current.unsubscribe();
  const subscription = await manager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key) });
  return { subscription, replaces };
}

// Subscribe and register by `register(subscription, replaces)`, which returns false for an address
// that the push service has ended: the browser does not know that, and subscribes once more.
export async function subscribeAndRegister(manager, key, register) {
  const { subscription, replaces } = await subscribe(manager, key);
  if (await register(subscription, replaces)) return subscription;
  await subscription.unsubscribe();
  const again = await subscribe(manager, key);
  if (await register(again.subscription, null)) return again.subscription;
  throw new Error("The browser's push service gives out addresses that have ended.");
}

// The push service has ended this address for good (409 of a registration).
export async function isAddressGone(response) {
  if (response.status !== 409) return false;
  const problem = await response.clone().json().catch(() => ({}));
  return problem.type === "/problems/address-gone";
}

function bytes(base64url) {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

const equal = (a, b) => a.length === b.length && a.every((byte, n) => byte === b[n]);
