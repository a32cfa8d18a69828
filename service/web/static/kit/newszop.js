// The web kit: alerts on a publisher's own site. `README.md` beside it has every call.
import { Account, Refused } from "./account.js";
import { Device } from "./device.js";
import { showPreferences } from "./preferences.js";
import { ask, countView, mayAsk } from "./prompt.js";
import { findObstacle } from "./subscription.js";

class Newszop {
  #listeners = new Map();
  #settings = {};

  // Set up the kit on this page; the promise gives the state once browser and server were compared.
  async init({ server, app = "webpush", worker = "/newszop-sw.js", scope = "/newszop/", prompt = {} }) {
    this.#settings = { prompt };
    this.account = new Account(new URL(server, location.href).origin);
    this.device = new Device(this.account, { app, worker, scope });
    countView();
    await this.device.reconcile().catch((error) => this.#emit("error", error));
    return this.#changed();
  }

  // Whether alerts are on here, and why they cannot be.
  get state() {
    return { on: this.device?.on ?? false, obstacle: findObstacle(), reader: Boolean(this.account?.token) };
  }

  // Ask softly, if the rules allow it, and subscribe after a yes. Gives true when alerts are on.
  async prompt({ force = false, ...words } = {}) {
    if (this.device.on) return true;
    const details = await this.device.fetchApp();
    const rules = { ...details.prompt, ...this.#settings.prompt, ...words };
    if (findObstacle() || !(force || mayAsk(rules))) return false;
    return ask(rules, () => this.subscribe(rules.topics ?? []));
  }

  // Turn alerts on, from a click, and follow these topics.
  async subscribe(topics = []) {
    try {
      await this.device.subscribe();
      for (const topic of topics) await this.follow(topic);
    } finally {
      this.#changed();
    }
    return this.device.on;
  }

  async unsubscribe() {
    await this.device.unsubscribe();
    this.#changed();
  }

  // `least_urgency`: "quiet" (all), "normal" or "breaking".
  async follow(topic, { least_urgency = "quiet" } = {}) {
    await this.account.ensure();
    await this.account.json("PUT", topicPath(topic), { least_urgency });
    this.#emit("follow", { topic, followed: true });
  }

  async unfollow(topic) {
    if (!this.account.token) return;
    await this.account.json("DELETE", topicPath(topic)).catch((error) => { if (error.status !== 404) throw error; });
    this.#emit("follow", { topic, followed: false });
  }

  // Every topic, parents before children, each with `followed`.
  async topics() {
    const [all, own] = await Promise.all([this.account.list("/api/topics"), this.account.token ? this.account.list("/api/me/subscriptions").catch(orNobodys([])) : []]);
    const followed = new Set(own.map(({ topic }) => topic));
    return all.map((topic) => ({ ...topic, followed: followed.has(topic.path) }));
  }

  // This reader's settings; null before there is a reader.
  async me() {
    return this.account.token ? this.account.json("GET", "/api/me").catch(orNobodys(null)) : null;
  }

  // `{from: "22:00", to: "07:00"}`, or null for none.
  async quietHours(hours) {
    await this.account.ensure();
    return this.account.json("PATCH", "/api/me", { quiet_hours: hours });
  }

  async preferences(element, texts) {
    return showPreferences(this, element, texts);
  }

  // Join this browser to the publisher's own reader, by a token that the publisher's server signed.
  async login(token) {
    await this.account.ensure();
    const reader = await this.account.json("POST", "/api/me/login", { token });
    if (reader.token) this.account.token = reader.token;
    await this.device.tellWorker();
    await this.device.reconcile().catch((error) => this.#emit("error", error));
    this.#changed();
    return reader;
  }

  // Leave the browser to an anonymous reader again.
  async logout() {
    if (!this.account.token) return;
    const { token } = await this.account.json("POST", "/api/me/logout");
    if (token) this.account.token = token;
    await this.device.tellWorker();
    this.#changed();
  }

  // "change" gives the state, "follow" a topic, "error" an error. Returns what ends the listening.
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  #changed() {
    const { state } = this;
    this.#emit("change", state);
    return state;
  }

  #emit(event, detail) {
    for (const listener of this.#listeners.get(event) ?? []) listener(detail);
  }
}

const topicPath = (topic) => `/api/me/subscriptions/${topic.split("/").map(encodeURIComponent).join("/")}`;

// The reader was erased elsewhere: a new one begins with the next follow.
function orNobodys(value) {
  return (error) => {
    if (error.status !== 401) throw error;
    return value;
  };
}

export const newszop = new Newszop();
export { Refused };
