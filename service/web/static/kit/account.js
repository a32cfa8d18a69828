// This browser's reader at the push server: its token, and every call made with it.
import { forget, recall, remember } from "./storage.js";

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

const TIMEOUT_MS = 15_000;
const TOKEN = "token";

export class Account {
  constructor(server) {
    this.server = server;
  }

  get token() {
    return recall(TOKEN);
  }

  set token(token) {
    if (token) remember(TOKEN, token);
    else forget(TOKEN);
  }

  // Make a reader of this browser, unless it is one.
  async ensure() {
    if (this.token) return;
    const { token } = await this.json("POST", "/api/readers", readerOfBrowser());
    this.token = token;
  }

  // Return what the server answers, or null for an empty answer; throw `Refused` for a refusal.
  async json(method, path, body) {
    const response = await this.fetch(method, path, body);
    if (response.status === 401 && this.token) this.token = null;
    if (!response.ok) throw new Refused(await readReason(response), response.status);
    return response.status === 204 ? null : response.json();
  }

  fetch(method, path, body) {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (body) headers["Content-Type"] = "application/json";
    return fetch(this.server + path, {
      method, headers, body: body && JSON.stringify(body), credentials: "omit", signal: AbortSignal.timeout?.(TIMEOUT_MS),
    });
  }

  // Return every item of a list, page after page.
  async list(path) {
    const items = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({ limit: "200", ...(cursor && { cursor }) });
      const page = await this.json("GET", `${path}?${query}`);
      items.push(...page.items);
      cursor = page.next;
    } while (cursor && items.length < 5000);
    return items;
  }
}

// The browser's language and time zone may be ones that the server does not know: then its defaults.
function readerOfBrowser() {
  const timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return { language: navigator.language || "en", timezone: timezone || "UTC" };
}

async function readReason(response) {
  try {
    const { detail, title } = await response.json();
    return detail ?? title;
  } catch (error) {
    return "That did not work. Try again.";
  }
}
