// This browser as a device: on only while the browser and the server agree that it is.
import { Refused } from "./account.js";
import { recall, remember, forget, tellWorker } from "./storage.js";
import { activeWorker, askPermission, currentSubscription, findObstacle, hasKey, isAddressGone, subscribeAndRegister } from "./subscription.js";

const RENEW_MS = 24 * 3600_000;
const TRUST_MS = 10 * 60_000;
const DEVICE = "device";
const DEFAULT_APP = "webpush";

export class Device {
  constructor(account, { app, worker, scope }) {
    Object.assign(this, { account, app, worker, scope });
    this.on = false;
  }

  // Return the app as the server has it: its key and the rules of its prompt.
  async fetchApp() {
    this.details ??= this.account.json("GET", `/api/web-apps/${encodeURIComponent(this.app)}`).catch((error) => {
      this.details = null;
      throw error;
    });
    return this.details;
  }

  // Compare the browser's subscription with the server's device and mend what differs.
  async reconcile() {
    this.on = false;
    const known = recall(DEVICE);
    const registration = await this.findRegistration();
    const subscription = registration && (await currentSubscription(registration));
    if (!known || !this.account.token) return false;
    if (!subscription) return this.forgetLost(known);
    const { vapid_key: key } = await this.fetchApp();
    const age = Date.now() - known.registeredAt;
    if (!hasKey(subscription, key) || known.endpoint !== subscription.endpoint || age > RENEW_MS || !(await this.isOnRecord(known))) await this.register(registration, known.endpoint);
    this.on = true;
    return true;
  }

  async isOnRecord(known) {
    if (Date.now() - known.confirmedAt < TRUST_MS) return true;
    const { items } = await this.account.json("GET", "/api/me/devices");
    const isThere = items.some(({ id }) => id === known.id);
    if (isThere) remember(DEVICE, { ...known, confirmedAt: Date.now() });
    return isThere;
  }

  // The reader took the permission back, or the browser dropped the subscription.
  async forgetLost(known) {
    if (Notification.permission === "granted") {
      await this.register(await this.startWorker(), known.endpoint);
      this.on = true;
      return true;
    }
    forget(DEVICE);
    await this.account.json("DELETE", `/api/me/devices/${known.id}`).catch(() => null);
    return false;
  }

  // Ask the browser, subscribe, register. Call it from a click: browsers ask only then.
  async subscribe() {
    const obstacle = findObstacle();
    if (obstacle) throw new Refused(obstacle.text, obstacle.code);
    if (!(await askPermission())) throw new Refused("Alerts need your permission.", "denied");
    await this.account.ensure();
    await this.register(await this.startWorker(), recall(DEVICE)?.endpoint ?? null);
    this.on = true;
  }

  async unsubscribe() {
    const known = recall(DEVICE);
    const registration = await this.findRegistration();
    const subscription = await registration?.pushManager.getSubscription();
    forget(DEVICE);
    this.on = false;
    await subscription?.unsubscribe();
    if (known && this.account.token) await this.account.json("DELETE", `/api/me/devices/${known.id}`).catch(ignoreUnknown);
  }

  async register(registration, formerEndpoint) {
    const { vapid_key: key } = await this.fetchApp();
    if (!key) throw new Refused("Alerts to browsers are not set up at the server.", 404);
    let id = null;
    const subscription = await subscribeAndRegister(registration.pushManager, key, async (candidate, replaced) => {
      const { endpoint, keys } = candidate.toJSON();
      const replaces = [replaced, formerEndpoint].find((address) => address && address !== endpoint);
      const response = await this.account.fetch("PUT", "/api/me/devices", { provider: "webpush", ...(this.app !== DEFAULT_APP && { app: this.app }), address: endpoint, keys, ...(replaces && { replaces }) });
      if (await isAddressGone(response)) return false;
      if (!response.ok) throw new Refused((await response.json().catch(() => ({}))).detail ?? "The server refused this browser.", response.status);
      ({ id } = await response.json());
      return true;
    });
    const now = Date.now();
    remember(DEVICE, { id, endpoint: subscription.endpoint, registeredAt: now, confirmedAt: now });
    await this.tellWorker();
  }

  // The worker renews the subscription by itself when the browser changes it.
  tellWorker() {
    return tellWorker({ server: this.account.server, app: this.app, token: this.account.token });
  }

  async startWorker() {
    if (!this.worker) return navigator.serviceWorker.ready;
    const query = new URLSearchParams({ server: this.account.server, app: this.app });
    return activeWorker(await navigator.serviceWorker.register(`${this.worker}?${query}`, { scope: this.scope }));
  }

  async findRegistration() {
    if (!("serviceWorker" in navigator)) return null;
    return (await navigator.serviceWorker.getRegistration(this.worker ? this.scope : undefined)) ?? null;
  }
}

function ignoreUnknown(error) {
  if (error.status !== 404 && error.status !== 401) throw error;
}
